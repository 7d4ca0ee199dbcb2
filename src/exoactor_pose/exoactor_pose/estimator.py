"""The person's motion from a detector's landmarks and one fit of SMPL-X over all frames; backend ``mediapipe``."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Interval, Unit
from pydantic import BeforeValidator

from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput
from exoactor_core.options import BaseOptions, Share
from exoactor_core.stages import Estimate, Estimator, Metrics, OnSegment, Progress, no_progress
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
    """Video -> Estimate, for one person on a flat floor.

    The detector is a subclass's.
    """

    class Options(BaseOptions):
        """Those that do not depend on the detector."""

        body_model: str = ""
        """SMPL-X npz of the licensed model; empty: the project's own neutral body."""
        person_height: Annotated[float, Interval(ge=0.5, le=2.5), Unit("m")] = 1.70
        """Stature of the person; it sets the scale of the motion, since an image cannot show it."""
        fov_deg: Annotated[float, Interval(ge=5.0, le=150.0), Unit("degrees")] = 55.0
        """Field of view along the image's longer side that is assumed where the video does not state its camera."""
        min_confidence: Share = 0.5
        """Detection confidence below which a frame counts as empty."""
        min_found: Share = 0.5
        """Share of frames in which the person must be found."""
        iterations: Annotated[int, Interval(ge=2, le=1000)] = 24
        """Steps of the fit at most; it ends before when nothing changes any more."""
        person: str = "largest"
        """Whom to follow where there are several: largest, or the person's number counted from the left, from 0."""
        max_seconds: Annotated[float, Interval(ge=0.1, le=86400.0), Unit("s")] = 120.0
        """Length of video that is taken."""
        streaming: bool = False
        """Give the motion out in segments, each within two seconds of video, while the rest is still being looked at; a
        segment is not changed any more, so the whole is a little less exact. The video may be of any length, and ends
        at the first cut or when the person is gone."""
        moving_camera: bool = True
        """Look in the background whether the camera turns; without, it is taken as still."""
        min_quality: Share = 0.3
        """Least mean confidence of a clip that is handed on."""
        max_reprojection: Annotated[float, Interval(ge=0.0, le=10.0)] = 0.07
        """Largest mean distance of the body from the landmarks, as a share of the person's height in view, likewise."""
        max_skate: Annotated[float, Interval(ge=0.0, le=1e6), Unit("mm")] = 15.0
        """Largest mean slide of standing feet per frame at 30 Hz, likewise."""
        max_jerk: Annotated[float, Interval(ge=0.0, le=1e6), Unit("m/s^3")] = 150.0
        """Largest mean jerk of the joints, likewise."""
        max_speed: Annotated[float, Interval(ge=0.0, le=1e6), Unit("m/s")] = 10.0
        """Largest speed of the pelvis, likewise."""

    options: Options

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        given = self.options
        self.body = BodyModel.load(given.body_model or None)
        self.person = Follower(given.person).choice
        self.limits = Limits(
            given.min_quality, given.max_reprojection, given.max_skate, given.max_jerk, given.max_speed
        )
        self.weights = Weights(iterations=(given.iterations // 2, given.iterations - given.iterations // 2))

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
        camera = Camera(*video.intrinsics) if known else Camera.guess(video.width, video.height, self.options.fov_deg)
        pinhole = (camera.fx, camera.fy, camera.cx, camera.cy)
        turning = CameraMotion(video.fps, pinhole, known) if self.options.moving_camera else None
        with ExitStack() as stack:
            detector = stack.enter_context(closing(self.open_detector()))
            hands = self.open_hand_finder(video.fps)
            if hands is not None:
                stack.enter_context(closing(hands))
            if self.options.streaming:
                source = MotionStream(
                    detector, video.fps, camera, video.width, video.height, self.body, self.options.person_height,
                    self.person, hands, turning, self.weights,
                )  # fmt: skip
                seen, result = follow(video, source, on_segment, progress)
                self._check_found(seen)
            else:
                seen = detect(
                    video, detector, self.person, self.options.max_seconds, hands, camera=turning,
                    progress=lambda share, text: progress(0.6 * share, text),
                )  # fmt: skip
                self._check_found(seen)
                result = fit(
                    with_hand_landmarks(seen), camera, self.body, self.options.person_height, self.weights,
                    lambda share, text: progress(0.6 + 0.4 * share, text),
                )  # fmt: skip
                result = replace(result, motion=replace(result.motion, hand_pose=hand_pose(seen)))
        progress(1.0, "The motion is estimated")
        keypoints = np.concatenate([np.zeros((seen.start, 33, 3)), seen.image])  # of the video's frames, from the first
        metrics = _metrics(seen, result, self.body, known)
        if isinstance(detector, MediapipeDetector):
            metrics["frames_by_model"] = detector.frames_by_model
        if seen.facts:
            metrics["video"] = seen.facts
        refuse(metrics, self.limits, seen.fps)
        return Estimate(result.motion, keypoints, metrics)

    def _check_found(self, seen: Landmarks) -> None:
        count = int(seen.found.sum())
        if count == 0 or count < self.options.min_found * len(seen):
            raise BadInput(
                f"A person was found in {count} of {len(seen)} frames, too few to follow: "
                "use a video that shows one whole person most of the time."
            )


class MediapipeEstimator(VideoEstimator):
    """Video -> Estimate by MediaPipe's landmarks, on the CPU."""

    class Options(VideoEstimator.Options):
        """Those of MediaPipe, too."""

        model_complexity: Annotated[Literal["auto", "0", "1", "2"], BeforeValidator(str)] = "auto"
        """MediaPipe's landmark model: 0 lite, 1 full, 2 heavy; auto: full, and heavy, if it is installed, where full is
        unsure (at the start, people who are small or hardly visible, sudden turns)."""
        hands: bool = True
        """Look for the hands' landmarks too, for fingers and wrists; without, hands are flat."""

    options: Options

    def open_detector(self) -> Detector:
        """Load MediaPipe's models."""
        return MediapipeDetector(self.options.model_complexity, self.options.min_confidence)

    def open_hand_finder(self, fps: float) -> HandFinder | None:
        """Load MediaPipe's hand model."""
        return HandFinder(round(fps / HAND_SEARCH_RATE)) if self.options.hands else None


def _metrics(seen: Landmarks, result: Fit, body: BodyModel, known_camera: bool) -> Metrics:
    """Quality figures of an estimate that need no truth."""
    return clip_figures(result.motion, body, seen.found, result.reprojection, result.height_px) | {
        "swapped_frames": result.swapped_frames,
        "camera_known": known_camera,
        "camera_pitch_rad": float(result.camera.pitch),
        "camera_roll_rad": float(result.camera.roll),
        "camera_height_m": float(result.camera.height),
        "camera_focal_px": float(result.camera.fx),
        "camera_focal_std_px": float(result.camera.fx * result.camera.focal_std),
        "start_s": seen.start / seen.fps,
        "notes": list(seen.notes),
    }
