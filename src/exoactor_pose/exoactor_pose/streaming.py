"""Streaming: frames in, finished segments of motion out, while the video is still being made.

The fit works on a window of the last seconds. Each time it adds the new frames, settles the older ones for good, and
keeps the newer ones, whose future is still unknown, for the next time. Settled frames stay in the window for a while
without moving, so that the next ones continue without a jump, in the same world. Two seconds say little about the
body's shape, the vertical and the floor: these continue to be estimated from all evidence so far.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput
from exoactor_core.motion import HumanMotion
from exoactor_core.stages import OnSegment, Progress, no_progress
from exoactor_core.video import Video
from exoactor_pose.detection.detectors import Detector
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.fitting.camera import Camera
from exoactor_pose.fitting.fit import USUAL_HEIGHT, Fit, PreviousFit, fit
from exoactor_pose.fitting.hands import HandFinder, hand_pose, with_hand_landmarks
from exoactor_pose.fitting.limbs import with_resting_arms
from exoactor_pose.fitting.terms import Common, Weights
from exoactor_pose.video.camera_motion import CameraMotion
from exoactor_pose.video.cuts import MAX_GAP_SECONDS
from exoactor_pose.video.landmark_tracking import frame_step
from exoactor_pose.video.person_tracker import Tracker

SEGMENT_SECONDS = 1.0
"""s of motion per segment."""
LOOKAHEAD_SECONDS = 1.0
"""s of frames after a segment that are needed before it is settled."""
OVERLAP_SECONDS = 0.5
"""s of settled motion from which the fit continues."""
HAND_HISTORY_SECONDS = 2.5
"""s of landmarks before a segment from which hidden hands are inferred."""
MAX_FRAMES_TOGETHER = 4
"""Maximum number of frames per call of the detector: more delay the first of them, but with fewer the models run on a
larger share of the frames, which delays all."""
CLOSED = "The stream is closed."


class MotionStream:
    """The motion of one person, segment by segment.

    The motion of a frame is output after ``delay`` further frames. The stream keeps the landmarks of a few seconds and
    no images, however long it is. The detector is left open. Of the camera the focal lengths and the centre are used;
    ``motion`` estimates its rotation (None: it is taken as still). ``width`` and ``height`` of the frames are in px,
    ``person_height`` in m; ``person`` is as for `exoactor_pose.detection.people.Follower`.
    """

    def __init__(
        self,
        detector: Detector,
        fps: float,
        camera: Camera,
        width: int,
        height: int,
        body: BodyModel,
        person_height: float = USUAL_HEIGHT,
        person: str = "largest",
        hands: HandFinder | None = None,
        motion: CameraMotion | None = None,
        weights: Weights | None = None,
    ) -> None:
        self.fps, self.camera, self.size, self.motion = fps, camera, (width, height), motion
        self.body, self.person_height, self.weights = body, person_height, weights
        self.hop, self.ahead, self.held, self.past, self.lost = (
            max(1, round(seconds * fps))
            for seconds in (SEGMENT_SECONDS, LOOKAHEAD_SECONDS, OVERLAP_SECONDS, HAND_HISTORY_SECONDS, MAX_GAP_SECONDS)
        )
        self.tracker = Tracker(detector, fps, person, hands, (motion,) if motion else ())
        self.start: int | None = None
        """Number of the motion's first frame, the first one with the person."""
        self.ended = ""
        """Why the stream ended before its last frame, or `CLOSED`; empty: it has not."""
        self.fits: list[Fit] = []
        """Fits of the segments returned by the last call."""
        self._together = min(detector.batch, MAX_FRAMES_TOGETHER)
        self._waiting: list[np.ndarray] = []  # frames that the tracker has not processed yet
        self._last: Fit | None = None  # of the last segment's frames
        self._received = 0  # number of frames
        self._settled = 0  # number of the frame up to which the motion has been output
        self._previous: PreviousFit | None = None  # from `_first` on

    @property
    def delay(self) -> int:
        """Maximum number of frames after a frame before its motion is output."""
        return self.hop + self.ahead + self._together - 2

    @property
    def _first(self) -> int:
        """Number of the first frame of the window."""
        return max(self._settled - self.held, self.start or 0)

    def push(self, frame: np.ndarray) -> list[HumanMotion]:
        """Add the next frame, (H, W, 3) uint8 RGB, and return the segments that it finishes, none or one."""
        self.fits = []
        self._waiting.append(frame)
        if len(self._waiting) >= self._together:
            self._take()
        return [each.motion for each in self.fits]

    def _take(self) -> None:
        """Process the waiting frames."""
        if not self.ended:
            self.tracker(self._waiting)
        for _ in self._waiting:
            if not self.ended:
                self._next()
        self._waiting = []

    def _next(self) -> None:
        """Advance by one processed frame."""
        number = self._received - self.tracker.first
        if self.tracker.changed[number] and self.start is not None:
            self._end("the video is cut")
            return
        self._received += 1
        visible = [pose is not None for pose in self.tracker.poses[max(0, number + 1 - self.lost) : number + 1]]
        if self.start is None and visible[-1]:
            self.start = self._settled = self._received - 1
        elif not any(visible) and self._previous is None:  # nobody yet, or only for a moment
            self.tracker.drop(number + 1)
            self.start = None
        elif not any(visible) and len(visible) == self.lost:
            self._end("nobody is there any more")
            return
        if self.start is not None and self._received - self._settled >= self.hop + self.ahead:
            self._settle(self._settled + self.hop)

    def close(self) -> list[HumanMotion]:
        """End the stream and return the last segment, if any.

        Raises
        ------
        BadInput
            Nobody was found in any frame.
        """
        self.fits = []
        if self._waiting:
            self._take()
        if self.start is None:
            raise BadInput(f"Nobody was found in {self._received} frames: use a video that shows one whole person.")
        if not self.ended:
            self._end()
        return [each.motion for each in self.fits]

    def _end(self, reason: str = "") -> None:
        """Output the rest, up to the last frame in which the person was found."""
        kept = self.tracker.poses[: self._received - self.tracker.first]
        found = [number for number, pose in enumerate(kept, self.tracker.first + 1) if pose is not None]
        self._received = max([self._settled, *found])
        if self._received > self._settled:
            self._settle(self._received)
        when = f"{self._received / self.fps:.1f} s"
        self.ended = f"The motion ends at {when}: {reason}, what follows is left out." if reason else CLOSED
        self.tracker.close()

    def _settle(self, stop: int) -> None:
        """Fit the new frames, and output the motion up to the frame ``stop``."""
        seen, start = self.tracker.landmarks(*self.size).part(self.tracker.first, self._received), self.start or 0
        if self.motion:
            turns = self.motion.turns(start, self._received)
            if turns is not None:
                seen = replace(seen, camera_rotation=turns[seen.start - start :])
        first = self._first
        window = with_hand_landmarks(seen).part(first, self._received)
        if self._last is not None:  # left and right are settled as well
            window = _with_head(self._last.seen.part(first, self._settled), window)
        previous = self._previous and replace(self._previous, state=self._previous.state.part(slice(len(window))))
        result = fit(window, self.camera, self.body, self.person_height, self.weights, previous=previous, goes_on=True)
        new = slice(self._settled - first, stop - first)
        motion = replace(result.motion, hand_pose=hand_pose(seen)[first - seen.start :])
        motion = with_resting_arms(motion, result.seen)
        self._last = replace(
            result,
            motion=motion.part(new.start, new.stop),
            reprojection=result.reprojection[new],
            seen=result.seen.part(self._settled, stop),
            swapped_frames=_changed_frames(window, result.seen, new),
        )
        assert result.information is not None  # it continues
        found = result.state.common()
        known = self._previous.common if self._previous else Common(found, np.zeros_like(result.information))
        share = (stop - self._settled) / (self._received - self._settled)  # the others are used again
        common = known.updated(found, result.information, share)
        self._settled = stop
        state = result.state.part(slice(self._first - first, None))
        pelvis = self._last.motion.transl[-1] + self.body.rest_joints(motion.betas)[0]
        turn = Rotation.from_rotvec(self._last.motion.global_orient[-1]).as_matrix()
        self._previous = PreviousFit(state, stop - self._first, pelvis, turn, common)
        self.tracker.drop(max(0, stop - self.past - self.tracker.first))
        self.fits.append(self._last)


def _with_head(head: Landmarks, seen: Landmarks) -> Landmarks:
    """The same with other landmarks in the first frames."""
    image, world = np.concatenate([head.image, seen.image[len(head) :]]), None
    if head.world is not None and seen.world is not None:
        world = np.concatenate([head.world, seen.world[len(head) :]])
    return replace(seen, image=image, world=world)


def joined(segments: list[HumanMotion], body: BodyModel) -> HumanMotion:
    """Join the segments to one motion, with the body of the last one, which has the most evidence."""
    return HumanMotion.joined([_with_shape(segment, segments[-1].betas, body) for segment in segments])


def _with_shape(motion: HumanMotion, betas: np.ndarray, body: BodyModel) -> HumanMotion:
    """The same poses for another body, whose soles have the same height when its legs are straight."""
    rest = np.stack([body.rest_joints(each)[0] for each in (motion.betas, betas)])
    higher = body.rest_pelvis_height(betas) - body.rest_pelvis_height(motion.betas)
    return replace(motion, betas=betas, transl=motion.transl + rest[0] - rest[1] + [0.0, 0.0, higher])


def _changed_frames(one: Landmarks, other: Landmarks, part: slice) -> int:
    """Number of frames in which the landmarks differ."""
    differ = (one.image[part] != other.image[part]).any(axis=(1, 2))
    if one.world is not None and other.world is not None:
        differ |= (one.world[part] != other.world[part]).any(axis=(1, 2))
    return int(differ.sum())


def follow(
    video: Video, source: MotionStream, on_segment: OnSegment | None = None, progress: Progress = no_progress
) -> tuple[Landmarks, Fit]:
    """Process a whole video with a new stream, without reading ahead.

    ``on_segment`` is called with each segment as soon as it is finished.

    Returns
    -------
    The landmarks in the frames of the motion, and the motion as one fit.
    """
    fits: list[Fit] = []

    def send(segments: list[HumanMotion]) -> None:
        fits.extend(source.fits)
        for segment in segments:
            if on_segment is not None:
                on_segment(segment)

    step = frame_step(video.fps)
    total = max(video.frame_count // step, 1)
    with closing(source.tracker):
        for number, frame in enumerate(video.frames(step), 1):
            send(source.push(frame))
            if source.ended:
                break
            progress(min(number / total, 1.0), f"Following the person: frame {number} of {total}")
        send(source.close())
    motion = joined([each.motion for each in fits], source.body)
    landmarks = Landmarks(
        source.fps,
        *source.size,
        np.concatenate([each.seen.image for each in fits]),
        None,
        np.concatenate([each.seen.found for each in fits]),
        start=fits[0].seen.start,
        notes=(*source.tracker.notes, *([source.ended] if source.ended != CLOSED else [])),
    )
    whole = replace(
        fits[-1],
        motion=motion,
        reprojection=np.concatenate([each.reprojection for each in fits]),
        height_px=float(np.median([each.height_px for each in fits])),
        swapped_frames=sum(each.swapped_frames for each in fits),
    )
    return landmarks, whole
