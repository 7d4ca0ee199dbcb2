"""Motion from a detector's landmarks by one fit of SMPL-X over all frames; backend ``mediapipe``."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Interval, Unit
from pydantic import BeforeValidator

from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput, Refused
from exoactor_core.options import BaseOptions, Share
from exoactor_core.processes import keep_heap_compact
from exoactor_core.stages import Estimate, Estimator, Metrics, OnSegment, Progress, no_progress, sub_progress
from exoactor_core.video import Video
from exoactor_pose.detection.detectors import Detector, MediapipeDetector
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.detection.people import Follower
from exoactor_pose.fitting.camera import Camera
from exoactor_pose.fitting.fit import USUAL_HEIGHT, Fit, fit
from exoactor_pose.fitting.focal import focal_ratio
from exoactor_pose.fitting.hands import HAND_SEARCH_RATE, HandFinder, hand_pose, with_hand_landmarks
from exoactor_pose.fitting.limbs import guessed_limbs, with_resting_arms
from exoactor_pose.fitting.terms import Weights
from exoactor_pose.quality import Limits
from exoactor_pose.streaming import MotionStream, follow
from exoactor_pose.stretches import Stretch, good_stretches, whole_stretch
from exoactor_pose.video.camera_motion import CameraMotion
from exoactor_pose.video.cuts import REPORTED_GAP_SECONDS
from exoactor_pose.video.landmark_tracking import detect, frame_step

HEIGHT_STD = 0.09
"""m, standard deviation of adult stature, women and men together (ANSUR II, 2012)."""
_TRAVELS = "The camera is assumed to move along without turning, which makes the person's motion more plausible."


class VideoOptions(BaseOptions):
    """Options for following and fitting the person in a video."""

    body_model: str = ""
    """SMPL-X npz of the licensed model; empty: the project's own neutral body."""
    person_height: Annotated[float, Interval(ge=0.0, le=2.5), Unit("m")] = 0.0
    """Height of the person, 0.5 or more; it sets the scale of the motion, which an image cannot show. 0: as stated in
    the video file, or 1.7."""
    fov_deg: Annotated[float, Interval(ge=5.0, le=150.0), Unit("degrees")] = 55.0
    """Field of view along the image's longer side, assumed if the video file does not state its camera."""
    min_confidence: Share = 0.5
    """Detection confidence below which a frame counts as empty."""
    min_found: Share = 0.5
    """Minimum share of frames in which the person is found."""
    iterations: Annotated[int, Interval(ge=2, le=1000)] = 20
    """Maximum number of iterations of the fit, which ends earlier when it has converged."""
    person: str = "largest"
    """Whom to follow if there are several people: largest, or the person's number from the left, starting at 0."""
    max_seconds: Annotated[float, Interval(ge=0.1, le=86400.0), Unit("s")] = 120.0
    """Maximum length of the video."""
    streaming: bool = False
    """Output the motion in segments, each within 2.1 s of video, while the rest is still being read. Segments are
    final, so the motion is a little less accurate. The video may be of any length; it ends at the first cut or when the
    person has gone."""
    moving_camera: bool = True
    """Estimate from the background whether the camera turns; otherwise it is taken as still."""
    estimate_focal: bool = True
    """Estimate the focal length, starting from ``fov_deg``, if the video file does not state it; otherwise ``fov_deg``
    is taken as known."""


class VideoEstimator(Estimator):
    """Video -> Estimate, for one person on a flat floor. Subclasses provide the detector."""

    class Options(Limits, VideoOptions):
        """Options that do not depend on the detector."""

    options: Options

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        given = self.options
        if 0.0 < given.person_height < 0.5:
            raise BadInput(f"A person is not {given.person_height:g} m tall: give 0.5 to 2.5 m (or 0: unknown).")
        self.body = BodyModel.load(given.body_model or None)
        self.person = Follower(given.person).choice
        coarse = given.iterations * 2 // 5
        self.weights = Weights(iterations=(coarse, given.iterations - coarse))

    @abstractmethod
    def open_detector(self) -> Detector:
        """Load the detector."""

    def open_hand_finder(self, fps: float) -> HandFinder | None:
        """Load a detector of hand landmarks in a video; None: there is none, or the main detector finds them."""
        return None

    def __call__(self, video: Video, progress: Progress = no_progress, on_segment: OnSegment | None = None) -> Estimate:
        """Estimate the motion.

        With the option ``streaming``, ``on_segment`` is called with each segment, in order, as soon as it is finished.

        Raises
        ------
        BadInput
            The video is damaged, too long or cut too often, or most of its frames lack a whole, upright person.
        Missing
            The detector or its model is not installed.
        Refused
            The estimated motion is beyond the limits.
        """
        keep_heap_compact()  # 0.4 GB less with large frames
        camera = (
            Camera.guess(video.width, video.height, self.options.fov_deg)
            if video.intrinsics is None
            else Camera(*video.intrinsics)
        )
        if not self.options.estimate_focal:
            camera = replace(camera, focal_std=0.0)
        person_height = self._known_height(video) or USUAL_HEIGHT
        fps, size = video.fps / frame_step(video.fps), (video.width, video.height)
        turning = CameraMotion(fps, camera) if self.options.moving_camera else None
        with ExitStack() as stack:
            detector = stack.enter_context(closing(self.open_detector()))
            hands = self.open_hand_finder(fps)
            if hands is not None:
                stack.enter_context(closing(hands))
            if self.options.streaming:
                source = MotionStream(
                    detector, fps, camera, *size, self.body, person_height, self.person, hands, turning, self.weights
                )
                seen, result = follow(video, source, on_segment, progress)
                found = self._check_found([seen])
                stretches = [whole_stretch(seen, result, self.body, self.options)]
            else:
                share = sub_progress(progress, 0.0, 0.6)
                found = detect(video, detector, self.person, self.options.max_seconds, hands, turning, share)
                stack.close()  # frees the models' memory for the fit
                stretches = self._fit(self._check_found(found), camera, person_height, video.duration, progress)
        progress(1.0, "The motion is estimated")
        good = [stretch for stretch in stretches if not stretch.fault]
        if not good:
            raise Refused(
                f"The estimated motion is not good enough: {'; '.join(_fault(s) for s in stretches)}. "
                "Use a video that shows one whole person clearly, or loosen the limits named."
            )
        best = max(good, key=lambda stretch: len(stretch.motion))
        metrics = self._metrics(video, max(found, key=len), stretches, best)
        if isinstance(detector, MediapipeDetector):
            metrics |= {"landmark_model": detector.model, "notes": [*metrics["notes"], *detector.notes]}
        motions = tuple((stretch.seconds[0], stretch.motion) for stretch in good)
        return Estimate(best.motion, _keypoints(found, frame_step(video.fps)), metrics, motions)

    def _known_height(self, video: Video) -> float | None:
        """Height of the person, m, from the option or the video."""
        return self.options.person_height or video.person_height

    def _metrics(self, video: Video, longest: Landmarks, stretches: list[Stretch], best: Stretch) -> Metrics:
        """Figures of the best stretch, and facts of the whole video from the longest one."""
        camera, known_height = best.fit.camera, self._known_height(video)
        metrics = best.metrics | {
            "swapped_frames": best.fit.swapped_frames,
            "camera_known": video.intrinsics is not None,
            "camera_pitch_rad": float(camera.pitch),
            "camera_roll_rad": float(camera.roll),
            "camera_height_m": float(camera.height),
            "camera_focal_px": float(camera.fx),
            "camera_focal_std_px": float(camera.fx * camera.focal_std),
            "person_height_m": known_height or USUAL_HEIGHT,
            "person_height_std_m": 0.0 if known_height else HEIGHT_STD,
            "start_s": best.seconds[0],
            "motion_s": _rounded(best),
            "stretches_s": [_rounded(stretch) for stretch in stretches if not stretch.fault],
            "rejected_s": [[*_rounded(stretch), stretch.fault] for stretch in stretches if stretch.fault],
            "notes": [
                *longest.notes,
                *([_TRAVELS] if best.fit.seen.camera_travels and best.fit.seen.camera_rotation is None else []),
                *_coverage_notes(best, stretches, video.duration),
                *guessed_limbs(best.motion, best.seconds[0]),
            ],
        }
        return metrics | ({"video": longest.facts} if longest.facts else {})

    def _fit(
        self, found: list[Landmarks], camera: Camera, person_height: float, duration: float, progress: Progress
    ) -> list[Stretch]:
        """Motions in the stretches in which the person is visible."""
        stretches, ends = [], np.cumsum([0, *map(len, found)])
        shares = (0.6 + 0.4 * ends / ends[-1]).tolist()
        for seen, begin, end in zip(found, shares, shares[1:], strict=False):
            report = sub_progress(progress, begin, end)
            calibrated = self._calibrated(seen, camera, person_height, report)
            one = partial(self._fit_stretch, camera=calibrated, person_height=person_height, progress=report)
            stretches += good_stretches(seen, one, self.body, self.options, duration)
        return stretches

    def _fit_stretch(self, seen: Landmarks, camera: Camera, person_height: float, progress: Progress) -> Fit:
        """The fit of a stretch, with fingers, and arms that hang where they are not seen."""
        result = fit(with_hand_landmarks(seen), camera, self.body, person_height, self.weights, progress)
        motion = replace(result.motion, hand_pose=hand_pose(seen))
        return replace(result, motion=with_resting_arms(motion, result.seen))

    def _calibrated(self, seen: Landmarks, camera: Camera, person_height: float, progress: Progress) -> Camera:
        """The camera with the focal length estimated from the background or the person."""
        if seen.camera_rotation is not None or seen.camera_travels:
            return camera.zoomed(seen.focal_ratio, seen.focal_std)

        def report(share: float, text: str) -> None:
            progress(0.0, "Estimating the focal length")

        return camera.zoomed(*focal_ratio(with_hand_landmarks(seen), camera, self.body, person_height, report))

    def _check_found(self, found: list[Landmarks]) -> list[Landmarks]:
        """The stretches in which the person is found often enough."""
        enough = [seen for seen in found if seen.found.any() and seen.found.mean() >= self.options.min_found]
        if not enough:
            seen = max(found, key=len)
            raise BadInput(
                f"A person was found in {int(seen.found.sum())} of {len(seen)} frames, too few to follow: "
                "use a video that shows one whole person most of the time."
            )
        return enough


def _keypoints(found: list[Landmarks], step: int) -> np.ndarray:
    """Landmarks of all frames of the video up to the last one that was processed, zeros if nobody was found."""
    keypoints = np.zeros((found[-1].start + len(found[-1]), 33, 3))
    for seen in found:
        keypoints[seen.start : seen.start + len(seen)] = seen.image
    return keypoints.repeat(step, axis=0)


def _rounded(stretch: Stretch) -> list[float]:
    return [round(t, 3) for t in stretch.seconds]


def _fault(stretch: Stretch) -> str:
    start, stop = stretch.seconds
    return f"from {start:.1f} s to {stop:.1f} s: {stretch.fault}"


def _coverage_notes(best: Stretch, stretches: list[Stretch], duration: float) -> list[str]:
    """Sentences on the part of the video that the motion covers, and on the rest."""
    notes = []
    start, stop = best.seconds
    if stop - start < duration - REPORTED_GAP_SECONDS:
        notes.append(f"The motion covers {start:.1f} s to {stop:.1f} s of the video, which lasts {duration:.1f} s.")
    others = [stretch for stretch in stretches if stretch is not best and not stretch.fault]
    if others:
        spans = ", ".join(f"{a:.1f} s to {b:.1f} s" for a, b in (stretch.seconds for stretch in others))
        notes.append(f"There is a motion from {spans}, too.")
    notes += [f"No motion {_fault(stretch)}." for stretch in stretches if stretch.fault]
    return notes


class MediapipeEstimator(VideoEstimator):
    """Video -> Estimate with MediaPipe's landmarks, on the CPU."""

    class Options(VideoEstimator.Options):
        """Options, including those of MediaPipe."""

        model_complexity: Annotated[Literal["auto", "0", "1", "2"], BeforeValidator(str)] = "auto"
        """MediaPipe's landmark model: 0 lite, 1 full, 2 heavy; auto: full, and heavy (if installed) in frames in which
        full is unsure."""
        hands: bool = True
        """Detect hand landmarks, for fingers and wrists; otherwise hands are flat."""

    options: Options

    def open_detector(self) -> Detector:
        """Load MediaPipe's models."""
        return MediapipeDetector(self.options.model_complexity, self.options.min_confidence)

    def open_hand_finder(self, fps: float) -> HandFinder | None:
        """Load MediaPipe's hand model."""
        return HandFinder(round(fps / HAND_SEARCH_RATE)) if self.options.hands else None
