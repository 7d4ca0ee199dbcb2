"""The 33 MediaPipe landmarks of the person in every frame of a video."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exoactor.errors import BadInput, Missing
from exoactor.stages import Progress, no_progress
from exoactor.video import Video


@dataclass(frozen=True)
class Landmarks:
    """What was seen of the person in T frames, in MediaPipe's order of landmarks."""

    fps: float
    width: int
    height: int
    image: np.ndarray
    """(T, 33, 3): x px, y px, visibility in [0, 1]; zeros where no person was found."""
    world: np.ndarray | None
    """(T, 33, 3) m, about the middle of the hips; x right, y down, z away from the camera; None: no depth is told."""
    found: np.ndarray
    """(T,) bool."""
    hands: np.ndarray | None = None
    """(T, 2, 21, 3): the left and the right hand's landmarks in MediaPipe's order: x px, y px, confidence in [0, 1],
    0 where unseen."""
    hands_world: np.ndarray | None = None
    """(T, 2, 21, 3) m about the hand's middle, axes as in ``world``."""
    camera_rotation: np.ndarray | None = None
    """(T, 3, 3) rotation from the first frame's camera to this frame's camera; None: the camera stands still."""
    notes: tuple[str, ...] = ()
    """Sentences with times on what was lost: cuts, empty stretches, the person leaving the frame, several people."""

    def __len__(self) -> int:
        return len(self.found)


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Send the C++ libraries' chatter to nowhere: TensorFlow Lite's has no other switch."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


_MODEL_FILES = {0: "pose_landmark_lite.tflite", 1: "pose_landmark_full.tflite", 2: "pose_landmark_heavy.tflite"}


def open_detector(model_complexity: int = 1, min_confidence: float = 0.5):
    """Load MediaPipe's pose tracker (a context manager with ``process(rgb)``).

    Parameters
    ----------
    model_complexity
        0 light, 1 full, 2 heavy. Only 1 comes with the package.
    min_confidence
        Detection and tracking confidence in [0, 1] below which a frame counts as empty.

    Raises
    ------
    Missing
        MediaPipe or the model file is not installed.
    BadInput
        ``model_complexity`` is none of 0, 1, 2.
    """
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if model_complexity not in _MODEL_FILES:
        raise BadInput(f"model_complexity is {model_complexity}, but it must be 0, 1 or 2.")
    try:
        with _quiet_stderr():
            import mediapipe
            from mediapipe.python.solutions.pose import Pose
    except ImportError as error:
        raise Missing(f"MediaPipe cannot be loaded: {error}. Run 'make env'.") from None
    model = Path(mediapipe.__file__).parent / "modules" / "pose_landmark" / _MODEL_FILES[model_complexity]
    if not model.is_file():
        raise Missing(f"MediaPipe's model {model} is not installed: put it there, or use model_complexity 1.")
    with _quiet_stderr():
        # Its own smoothing would make the landmarks lag: the fit smooths without lag.
        pose = Pose(
            model_complexity=model_complexity,
            smooth_landmarks=False,
            min_detection_confidence=min_confidence,
            min_tracking_confidence=min_confidence,
        )
        pose.process(np.zeros((64, 64, 3), dtype=np.uint8))  # its threads load the detector, chattering, only now
        return pose


def detect(
    video: Video, model_complexity: int = 1, min_confidence: float = 0.5, progress: Progress = no_progress
) -> Landmarks:
    """Find the person in every frame; frames are decoded one at a time.

    Raises
    ------
    BadInput
        The video is damaged or holds no frame.
    Missing
        MediaPipe or its model is not installed.
    """
    image, world, found = [], [], []
    size = np.array([video.width, video.height, 1.0])
    with open_detector(model_complexity, min_confidence) as detector:
        total = max(video.frame_count, 1)
        for number, frame in enumerate(video.frames()):
            progress(min(number / total, 1.0), f"Looking for the person: frame {number + 1} of {total}")
            # The first person found loads one more model, which chatters too.
            with nullcontext() if any(found) else _quiet_stderr():
                result = detector.process(np.ascontiguousarray(frame))
            seen = result.pose_landmarks is not None and result.pose_world_landmarks is not None
            found.append(seen)
            if not seen:
                image.append(np.zeros((33, 3)))
                world.append(np.zeros((33, 3)))
                continue
            image.append(size * [(p.x, p.y, p.visibility) for p in result.pose_landmarks.landmark])
            world.append(np.array([(p.x, p.y, p.z) for p in result.pose_world_landmarks.landmark]))
    return Landmarks(video.fps, video.width, video.height, np.array(image), np.array(world), np.array(found))
