"""Backend ``file``: a motion that is already there, as another estimator or motion capture left it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from exoactor_core.errors import BadInput
from exoactor_core.stages import Estimate, Estimator, OnSegment, Progress, no_progress
from exoactor_core.video import Video
from exoactor_pose.importers import read


class FileReader(Estimator):
    """Take a given motion as the estimate, whatever the video shows.

    Parameters
    ----------
    path
        Result file of GVHMR, GEM, WHAM, TRAM, PromptHMR, PHALP or 4D-Humans, AMASS .npz or .bvh.
    person
        Who, by the name that the file gives; empty: whoever is seen longest.
    fps
        Frame rate of the video that the file was made from; 0: as the file says, and 30 where it does not.
    """

    def __init__(
        self, path: str = "", person: str = "", fps: Annotated[float, Interval(ge=0.0, le=1000.0)] = 0.0
    ) -> None:
        if fps < 0:
            raise BadInput(f"fps is {fps}, but it must be 0 or more.")
        self.path, self.person, self.fps = path, person, fps

    def __call__(
        self, video: Video | None = None, progress: Progress = no_progress, on_segment: OnSegment | None = None
    ) -> Estimate:
        """Read the file.

        Raises
        ------
        BadInput
            No path is set, or the file cannot be read.
        """
        if not self.path:
            raise BadInput("The estimator 'file' has no motion to read: set its option path.")
        path = Path(self.path).expanduser()
        progress(0.0, f"Reading {path.name}")
        estimate = read(path, self.person, self.fps)
        progress(1.0, f"{len(estimate.motion)} frames read")
        return estimate
