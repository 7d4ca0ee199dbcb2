"""A generator that takes the video from a folder of recorded clips, by the words in their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exoactor_core.errors import BadInput
from exoactor_core.options import BaseOptions
from exoactor_core.stages import GenerateRequest, Generation, Generator, OnJob, OnPlan, Progress, no_progress
from exoactor_core.video import Video


class ClipLibrary(Generator):
    """Take the clip whose name shares most words with the instruction: ``wave_right_hand.mp4``."""

    judged = False  # the clips are the user's own choice

    class Options(BaseOptions):
        """The source of the options for --set, the ROS parameters and the documentation."""

        folder: str = "."
        """Folder with the clips (.mp4)."""

    options: Options

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        folder = self.options.folder
        self.clips = sorted(Path(folder).glob("*.mp4"))
        if not self.clips:
            raise BadInput(f"There is no .mp4 in {folder}: name another folder with --set generate.folder=FOLDER.")

    def __call__(
        self,
        request: GenerateRequest,
        progress: Progress = no_progress,
        on_plan: OnPlan | None = None,
        on_job: OnJob | None = None,
    ) -> Generation:
        """Return the clip; raises `BadInput` if no name shares a word with the instruction."""
        words = set(request.instruction.lower().split())
        shared, clip = max((len(words & set(clip.stem.split("_"))), clip) for clip in self.clips)
        if not shared:
            raise BadInput(f"No clip in {self.clips[0].parent} is named after any word of '{request.instruction}'.")
        return Generation(Video.load(clip), metrics={"clip": clip.name})
