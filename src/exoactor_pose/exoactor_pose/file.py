"""Backend ``file``: an existing motion from another estimator or motion capture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from annotated_types import Interval, Unit

from exoactor_core.errors import BadInput
from exoactor_core.options import BaseOptions
from exoactor_core.stages import Estimate, Estimator, OnSegment, Progress, no_progress
from exoactor_core.video import Video
from exoactor_pose.importers import read


class FileReader(Estimator):
    """Returns a given motion as the estimate, whatever the video shows."""

    class Options(BaseOptions):
        """The file to read."""

        path: str = ""
        """Result file of GVHMR, GEM, WHAM, TRAM, PromptHMR, PHALP or 4D-Humans, AMASS .npz or .bvh."""
        person: str = ""
        """The person's id in the file; empty: whoever is visible longest."""
        fps: Annotated[float, Interval(ge=0.0, le=1000.0), Unit("Hz")] = 0.0
        """Frame rate of the original video; 0: as stated in the file, or 30."""

    options: Options

    def __call__(
        self, video: Video | None = None, progress: Progress = no_progress, on_segment: OnSegment | None = None
    ) -> Estimate:
        """Read the file.

        Raises
        ------
        BadInput
            No path is set, or the file cannot be read.
        """
        if not self.options.path:
            raise BadInput("The estimator 'file' has no motion to read: set its option path.")
        path = Path(self.options.path).expanduser()
        progress(0.0, f"Reading {path.name}")
        estimate = read(path, self.options.person, self.options.fps)
        progress(1.0, f"{len(estimate.motion)} frames read")
        return estimate
