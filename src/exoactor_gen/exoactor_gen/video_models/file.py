"""A generator that returns an existing video."""

from __future__ import annotations

from pathlib import Path

from exoactor_core.errors import BadInput, in_file
from exoactor_core.files import need_file
from exoactor_core.interaction import Interaction
from exoactor_core.options import BaseOptions
from exoactor_core.stages import GenerateRequest, Generation, Generator, OnJob, OnPlan, Progress, no_progress
from exoactor_core.video import Video


class FilePlayer(Generator):
    """Returns a given video as the generation, whatever the instruction."""

    class Options(BaseOptions):
        """The video to return."""

        path: str = ""
        """The video file."""

    options: Options
    judged = False

    def __call__(
        self,
        request: GenerateRequest,
        progress: Progress = no_progress,
        on_plan: OnPlan | None = None,
        on_job: OnJob | None = None,
    ) -> Generation:
        """Read the video and decode it once, so that damage is detected here rather than in a later stage.

        Raises
        ------
        BadInput
            No path is set, or the file is missing, empty, damaged, or not a video.
        """
        if not self.options.path:
            raise BadInput("The generator 'file' has no video to play: set its option path.")
        hint = ": set the generator's option path to one"
        path = need_file(Path(self.options.path).expanduser(), "video file", hint)
        progress(0.0, f"Reading {path.name}")
        video = Video.load(path)
        with in_file(path):
            count = video.check(lambda n: progress(min(0.99, n / max(1, video.frame_count)), f"Reading frame {n}"))
        progress(1.0, f"{count} frames read")
        note = "the instruction is not used by this backend"
        if request.scene_image is not None:
            note = "the instruction and the scene image are not used by this backend"
        metrics = {"frames": count, "seconds": count / video.fps, "note": note}
        interaction = Interaction(request.scene) if request.scene else None
        return Generation(video, None, metrics, interaction=interaction)
