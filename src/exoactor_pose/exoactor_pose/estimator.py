"""The person's motion from a detector's landmarks and one fit of SMPL-X over all frames; backend ``mediapipe``."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Annotated, Any, get_type_hints

import numpy as np
from annotated_types import Interval

from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput
from exoactor_core.stages import Estimate, Estimator, Metrics, OnSegment, Progress, Share, no_progress
from exoactor_core.video import Video
from exoactor_pose.detection.detectors import Detector, MediapipeDetector
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.detection.people import Follower
from exoactor_pose.fitting.camera import Camera
from exoactor_pose.fitting.fit import Fit, Weights, fit
from exoactor_pose.fitting.hands import HAND_SEARCH_RATE, HandFinder, hand_pose, with_hand_landmarks
from exoactor_pose.quality import Limits, clip_figures, refuse
from exoactor_pose.streaming import MotionStream, follow
from exoactor_pose.video.camera_motion import CameraMotion
from exoactor_pose.video.landmark_tracking import detect


class VideoEstimator(Estimator):
    """Video -> Estimate, for one person before a camera that stands still and may turn, on a flat floor.

    The detector is a subclass's. A subclass's constructor takes its own options and passes the others on as
    ``**common``; its signature and its documentation then name those, too.

    Parameters
    ----------
    body_model
        Path of a licensed SMPL-X npz; empty: the project's own neutral body.
    person_height
        Stature of the person in m; it sets the scale of the motion, since an image cannot show it.
    fov_deg
        Horizontal field of view in degrees that is assumed where the video does not state its camera.
    min_confidence
        Detection confidence in [0, 1] below which a frame counts as empty.
    min_found
        Share of frames in which the person must be found.
    iterations
        Steps of the fit at most; it ends before when nothing changes any more.
    person
        Whom to follow where there are several: largest, or the person's number counted from the left, from 0.
    max_seconds
        Length of video that is taken, in s.
    streaming
        Give the motion out in segments, each within two seconds of video, while the rest is still being looked at; a
        segment is not changed any more, so the whole is a little less exact. The video may be of any length, and ends
        at the first cut or when the person is gone.
    moving_camera
        Look in the background whether the camera turns; without, it is taken as still.
    min_quality, max_reprojection, max_skate, max_jerk, max_speed
        What a clip must keep to be handed on: least mean confidence in [0, 1], largest mean distance of the body from
        the landmarks as a share of the person's height in view, largest mean slide of standing feet in mm per frame at
        30 frames per second, largest mean jerk of the joints in m/s^3, largest speed of the pelvis in m/s.
    """

    def __init__(
        self,
        body_model: str = "",
        person_height: Annotated[float, Interval(ge=0.5, le=2.5)] = 1.70,
        fov_deg: Annotated[float, Interval(ge=5.0, le=150.0)] = 55.0,
        min_confidence: Share = 0.5,
        min_found: Share = 0.5,
        iterations: Annotated[int, Interval(ge=2, le=1000)] = 24,
        person: str = "largest",
        max_seconds: Annotated[float, Interval(ge=0.1, le=86400.0)] = 120.0,
        streaming: bool = False,
        moving_camera: bool = True,
        min_quality: Share = 0.3,
        max_reprojection: Annotated[float, Interval(ge=0.0, le=10.0)] = 0.07,
        max_skate: Annotated[float, Interval(ge=0.0, le=1e6)] = 15.0,
        max_jerk: Annotated[float, Interval(ge=0.0, le=1e6)] = 150.0,
        max_speed: Annotated[float, Interval(ge=0.0, le=1e6)] = 10.0,
    ) -> None:
        if not 0.5 <= person_height <= 2.5:
            raise BadInput(f"person_height is {person_height} m, but it must lie between 0.5 and 2.5.")
        if not 5.0 <= fov_deg <= 150.0:
            raise BadInput(f"fov_deg is {fov_deg}, but it must lie between 5 and 150 degrees.")
        if iterations < 2:
            raise BadInput(f"iterations is {iterations}, but it must be 2 or more.")
        self.body = BodyModel.load(body_model or None)
        self.person_height, self.fov_deg = person_height, fov_deg
        self.min_confidence, self.min_found = min_confidence, min_found
        self.person, self.max_seconds = Follower(person).choice, max_seconds
        self.moving_camera, self.streaming = moving_camera, streaming
        self.limits = Limits(min_quality, max_reprojection, max_skate, max_jerk, max_speed)
        self.weights = Weights(iterations=(iterations // 2, iterations - iterations // 2))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let the signature and the documentation of the constructor end with the common options."""
        super().__init_subclass__(**kwargs)
        own, common = inspect.signature(cls.__init__), inspect.signature(VideoEstimator.__init__)
        options = {p.name: p for s in (own, common) for p in s.parameters.values() if p.kind is not p.VAR_KEYWORD}
        cls.__init__.__signature__ = own.replace(parameters=list(options.values()))  # type: ignore[attr-defined]
        cls.__init__.__annotations__ = get_type_hints(VideoEstimator.__init__, include_extras=True) | {
            name: hint for name, hint in cls.__init__.__annotations__.items() if name in options
        }
        shared = inspect.cleandoc(VideoEstimator.__doc__ or "").partition("Parameters\n----------\n")[2]
        cls.__doc__ = f"{inspect.cleandoc(cls.__doc__ or '')}\n{shared}"

    @abstractmethod
    def open_detector(self) -> Detector:
        """Load the detector."""

    def open_hand_finder(self, fps: float) -> HandFinder | None:
        """Load a detector of the hands' landmarks in a video; None: there is none, or the detector finds them."""
        return None

    def __call__(self, video: Video, progress: Progress = no_progress, on_segment: OnSegment | None = None) -> Estimate:
        """Estimate the motion.

        Parameters
        ----------
        video
            The video.
        progress
            Told how far it is.
        on_segment
            With the option ``streaming``, called with each segment as soon as it is finished; they follow each other.

        Raises
        ------
        BadInput
            The video is damaged, too long or cut too often, or no whole, upright person is in most of its frames.
        Missing
            The detector or its model is not installed.
        Refused
            The estimated motion is beyond the limits.
        """
        known = video.intrinsics is not None
        camera = Camera(*video.intrinsics) if known else Camera.guess(video.width, video.height, self.fov_deg)
        pinhole = (camera.fx, camera.fy, camera.cx, camera.cy)
        turning = CameraMotion(video.fps, pinhole, known) if self.moving_camera else None
        with ExitStack() as stack:
            detector = stack.enter_context(closing(self.open_detector()))
            hands = self.open_hand_finder(video.fps)
            if hands is not None:
                stack.enter_context(closing(hands))
            if self.streaming:
                source = MotionStream(
                    detector, video.fps, camera, video.width, video.height, self.body, self.person_height, self.person,
                    hands, turning, self.weights,
                )  # fmt: skip
                seen, result = follow(video, source, on_segment, progress)
                self._check_found(seen)
            else:
                seen = detect(
                    video, detector, self.person, self.max_seconds, hands, camera=turning,
                    progress=lambda share, text: progress(0.6 * share, text),
                )  # fmt: skip
                self._check_found(seen)
                result = fit(
                    with_hand_landmarks(seen), camera, self.body, self.person_height, self.weights,
                    lambda share, text: progress(0.6 + 0.4 * share, text),
                )  # fmt: skip
                result = replace(result, motion=replace(result.motion, hand_pose=hand_pose(seen)))
        progress(1.0, "The motion is estimated")
        keypoints = np.concatenate([np.zeros((seen.start, 33, 3)), seen.image])  # of the video's frames, from the first
        metrics = _metrics(seen, result, self.body, known)
        if seen.facts:
            metrics["video"] = seen.facts
        refuse(metrics, self.limits, seen.fps)
        return Estimate(result.motion, keypoints, metrics)

    def _check_found(self, seen: Landmarks) -> None:
        count = int(seen.found.sum())
        if count == 0 or count < self.min_found * len(seen):
            raise BadInput(
                f"A person was found in {count} of {len(seen)} frames, too few to follow: "
                "use a video that shows one whole person most of the time."
            )


class MediapipeEstimator(VideoEstimator):
    """Video -> Estimate by MediaPipe's landmarks, on the CPU.

    Parameters
    ----------
    model_complexity
        MediaPipe's landmark model: 0 light, 1 full, 2 heavy (only 1 comes with the package).
    hands
        Look for the hands' landmarks too, for fingers and wrists; without, hands are flat.
    """

    def __init__(
        self,
        model_complexity: Annotated[int, Interval(ge=0, le=2)] = 1,
        hands: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.model_complexity, self.hands = model_complexity, hands

    def open_detector(self) -> Detector:
        """Load MediaPipe's models."""
        return MediapipeDetector(self.model_complexity, self.min_confidence)

    def open_hand_finder(self, fps: float) -> HandFinder | None:
        """Load MediaPipe's hand model."""
        return HandFinder(round(fps / HAND_SEARCH_RATE)) if self.hands else None


def _metrics(seen: Landmarks, result: Fit, body: BodyModel, known_camera: bool) -> Metrics:
    """Quality figures of an estimate that need no truth."""
    return clip_figures(result.motion, body, seen.found, result.reprojection, result.height_px) | {
        "swapped_frames": result.swapped_frames,
        "camera_known": known_camera,
        "camera_pitch_rad": float(result.camera.pitch),
        "camera_height_m": float(result.camera.height),
        "start_s": seen.start / seen.fps,
        "notes": list(seen.notes),
    }
