"""demo.mp4 of a run folder: the video with the detected skeleton, the retargeted G1 and the tracked G1 side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from itertools import pairwise, zip_longest
from pathlib import Path

import cv2
import numpy as np

from exoactor.run_folder import RunFolder
from exoactor_core.errors import BadInput, Cancelled, ExoActorError
from exoactor_core.motion import RobotMotion
from exoactor_core.stages import Progress, no_progress
from exoactor_core.video import Video

PANEL = 480
"""Height of each panel, px."""
FPS = 30.0

_CHAINS = ("11 13 15", "12 14 16", "11 12 24 23 11", "23 25 27 29 31 27", "24 26 28 30 32 28", "11 0 12")
SKELETON = tuple(bone for chain in _CHAINS for bone in pairwise(map(int, chain.split())))
"""Bones between MediaPipe's 33 pose landmarks."""
LEFT, RIGHT, MIDDLE = (255, 140, 0), (0, 160, 255), (240, 240, 240)


def write_demo(folder: RunFolder, progress: Progress = no_progress, failed: bool = False) -> Path:
    """Write ``demo.mp4`` into the run folder and return its path.

    Shows a panel for each file in the folder, so that a failed task shows how far it got. If the task ``failed`` and
    this fails, too, nothing is written: the first failure is the one to report.

    Raises
    ------
    BadInput
        The folder of a successful task holds no video.
    Cancelled
        Ctrl-C: nothing is written.
    """
    out = folder.path / "demo.mp4"
    try:
        with suppress(ExoActorError) if failed else nullcontext():
            _write(folder, out, progress)
    except KeyboardInterrupt:
        raise Cancelled(f"Cancelled: no demo.mp4 was written; 'exoactor show {folder.path}' writes it.") from None
    return out


def _write(folder: RunFolder, out: Path, progress: Progress) -> None:
    from exoactor_core.render import render_motion  # loads MuJoCo

    path = folder.path
    if not (path / "video.mp4").is_file():
        raise BadInput(f"{path} holds no video.mp4: it is not a run folder, or its first stage failed.")
    video = Video.load(path / "video.mp4")
    panels = [_titled(_video_panel(video.frames(), video.fps), "imagined")]
    keypoints = folder.keypoints()
    if keypoints is not None:
        found = (
            draw_skeleton((frame * 0.6).astype(np.uint8), points)
            for frame, points in zip(video.frames(), keypoints, strict=False)
        )
        panels.append(_titled(_video_panel(found, video.fps), "person found"))
    for title, files in (("retargeted G1", ("robot_motion",)), ("tracked G1", ("tracking", "rehearsal"))):
        file = next((path / f"{name}.npz" for name in files if (path / f"{name}.npz").is_file()), None)
        if file is not None:
            title += " (rehearsal)" if file.stem == "rehearsal" else ""
            motion = RobotMotion.load(file)
            objects = folder.objects(file.stem, motion)
            drawn = render_motion(motion, width=PANEL, height=PANEL, fps=FPS, objects=objects)
            panels.append(_titled(drawn, title))
    count = max(1, round(video.duration * FPS))
    Video.from_frames(_side_by_side(panels, count, progress), FPS).save(out)


def _side_by_side(panels: list[Iterator[np.ndarray]], minimum: int, progress: Progress) -> Iterator[np.ndarray]:
    """Frames with all panels in a row until the last panel ends; finished panels keep their last frame."""
    held: list[np.ndarray | None] = [None] * len(panels)
    for n, fresh in enumerate(zip_longest(*panels)):
        held = [new if new is not None else old for new, old in zip(fresh, held, strict=True)]
        progress(min(1.0, n / minimum), f"frame {n}")
        yield np.hstack([frame for frame in held if frame is not None])


def _video_panel(frames: Iterable[np.ndarray], fps: float) -> Iterator[np.ndarray]:
    """Resample frames to `FPS` and scale them to the panel's height; wide ones are cropped to 4:3."""
    shown = 0
    for n, frame in enumerate(frames):
        due = int((n + 1) * FPS / fps) - shown
        yield from (_fitted(frame) for _ in range(due))
        shown += due


def draw_skeleton(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Draw MediaPipe's landmarks, (33, 3) as x px, y px, visibility, onto a copy of an RGB image."""
    image = image.copy()
    seen = np.isfinite(points).all(axis=1) & (points[:, 2] > 0.3)
    pixels = np.where(np.isfinite(points), points, 0.0)[:, :2].round().astype(int)
    for a, b in SKELETON:
        if seen[a] and seen[b]:
            colour = MIDDLE if (a + b) % 2 else LEFT if a % 2 else RIGHT
            cv2.line(image, tuple(pixels[a].tolist()), tuple(pixels[b].tolist()), colour, 4, cv2.LINE_AA)
    return image


def _fitted(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    new_width = max(2, round(width * PANEL / height) // 2 * 2)
    frame = cv2.resize(frame, (new_width, PANEL), interpolation=cv2.INTER_AREA)
    spare = max(0, (new_width - PANEL * 4 // 3) // 2)
    return frame[:, spare : new_width - spare]


def _titled(frames: Iterator[np.ndarray], title: str) -> Iterator[np.ndarray]:
    for frame in frames:
        frame = np.ascontiguousarray(frame)
        frame[:34] = frame[:34] // 3
        cv2.putText(frame, title, (12, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2, cv2.LINE_AA)
        yield frame
