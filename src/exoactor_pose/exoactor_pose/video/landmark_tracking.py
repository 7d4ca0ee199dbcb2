"""The landmarks of the person in a video."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import islice

import cv2
import numpy as np

from exoactor_core.errors import BadInput
from exoactor_core.stages import Progress, no_progress
from exoactor_core.video import Video
from exoactor_pose.detection.appearance import AppearanceModel
from exoactor_pose.detection.detectors import Detector
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.detection.people import COMPARABLE_SIZE_RATIO, Follower, colour_histogram
from exoactor_pose.detection.people_tracks import Sightings
from exoactor_pose.fitting.hands import HandFinder
from exoactor_pose.video.camera_motion import CameraMotion
from exoactor_pose.video.cuts import CERTAIN_CUT, CutFinder, find_stretches
from exoactor_pose.video.facts import video_facts
from exoactor_pose.video.person_checks import no_person_message, whole_person
from exoactor_pose.video.person_tracker import FRAMES_AHEAD, SEARCH_SECONDS, Tracker

MOTION_RATE = 30.0
"""Frames per second that a motion needs; faster videos are subsampled."""
MIN_FPS = 8.0
SEVERAL_PEOPLE = (
    "Several people are in the video: the one followed is the largest and there for the longest time, or moves about "
    "most; the option person chooses another."
)


def with_contrast(image: np.ndarray) -> np.ndarray:
    """An RGB image (H, W, 3) uint8 whose lightness has more contrast in every part (CLAHE, Zuiderveld, 1994)."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8)).apply(np.ascontiguousarray(lab[..., 0]))
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def frame_step(fps: float) -> int:
    """Every how-many-th frame of a video of this rate is used: motion needs about `MOTION_RATE`."""
    return max(1, round(fps / MOTION_RATE))


def detect(
    video: Video,
    detector: Detector,
    person: str = "largest",
    max_seconds: float = 120.0,
    hands: HandFinder | None = None,
    camera: CameraMotion | None = None,
    progress: Progress = no_progress,
) -> list[Landmarks]:
    """Follow one person through a video of ``max_seconds`` at most, decoded frame by frame at every `frame_step`-th.

    ``detector`` is left open. ``person`` says whom to follow if there are several people: see `Follower`. ``hands``
    finds the landmarks of the hands; ``camera`` estimates the camera's rotation, None: it is taken as still.

    Returns
    -------
    The stretches in which the person is seen in one shot, in order.

    Raises
    ------
    BadInput
        The video is damaged or too long; it shows nobody, nobody upright, or only half a person; or no stretch is long
        enough.
    """
    _require_motion(video, max_seconds)
    tracker, appearance, camera = _tracked(video, detector, person, hands, camera, progress)
    seen = tracker.landmarks(video.width, video.height)
    if not seen.found.any():
        raise BadInput(no_person_message(video, detector, tracker.follower))
    shots = find_stretches(seen, np.array(tracker.sizes), np.array(tracker.changed))
    seen = replace(seen, found=shots.found, notes=seen.notes + shots.notes)
    for values in (seen.image, seen.world, seen.hands, seen.hands_world):
        if values is not None:
            values[~seen.found] = 0.0
    longest = max(shots.stretches, key=lambda part: part[1] - part[0])
    explained = camera.explained(*longest) if camera else (np.zeros(0), np.zeros(0))
    parts = {stretch: _part(seen, *stretch, camera) for stretch in shots.stretches}
    turned = parts[longest].camera_rotation
    facts = video_facts(seen, np.array(tracker.others), shots, appearance, explained, turned)
    found, faults = list[Landmarks](), {}
    for stretch, part in parts.items():
        try:
            found.append(whole_person(replace(part, facts=facts)))
        except BadInput as fault:
            faults[stretch] = fault
    if not found:
        raise faults[longest]
    return found


def _require_motion(video: Video, max_seconds: float) -> None:
    """Raise `BadInput` if a video is too long, or too short or slow to show a motion."""
    if video.duration > max_seconds:
        raise BadInput(
            f"The video lasts {video.duration:.0f} s, but at most {max_seconds:.0f} s are read: cut it, or set the "
            "option max_seconds."
        )
    if video.frame_count < 2:
        raise BadInput("The video holds a single frame, which shows a pose but no motion: use a longer one.")
    if video.fps < MIN_FPS:
        raise BadInput(
            f"The video has {video.fps:.3g} frames a second, too few to see a motion: {MIN_FPS:.0f} are needed."
        )


def _tracked(
    video: Video,
    detector: Detector,
    person: str,
    hands: HandFinder | None,
    camera: CameraMotion | None,
    progress: Progress,
) -> tuple[Tracker, AppearanceModel, CameraMotion | None]:
    """Process the video with a tracker; again with another one to follow somebody else, or if nobody was found.

    Returns the last tracker, and the models of appearance and camera for the same person.
    """
    step, progress = frame_step(video.fps), _never_backward(progress)
    fps, total = video.fps / step, max(video.frame_count // step, 1)

    def new_tracker(camera: CameraMotion | None) -> tuple[AppearanceModel, Tracker]:
        appearance = AppearanceModel(fps)
        return appearance, Tracker(detector, fps, person, hands, (appearance, camera) if camera else (appearance,))

    def process(frames: Iterable[np.ndarray], until_company: bool = False) -> bool:
        """Process frames, until others appear or to the end; returns whether it got to the end."""
        source = iter(frames)
        while batch := list(islice(source, detector.batch)):
            tracker(batch)
            if until_company and tracker.company:
                tracker.wait()
                return False
            done = len(tracker.poses)
            progress(min(done / total, 1.0), f"Looking for the person: frame {done} of {total}")
        tracker.wait()
        return True

    def images() -> closing[Generator[np.ndarray, None, None]]:
        return closing(_prefetched(video.frames(step)))

    appearance, tracker = new_tracker(camera)
    other: Sightings | None = None
    with closing(tracker), images() as frames:
        if not process(frames, until_company=person == "largest"):  # the whole video decides whom to follow
            sightings = survey(video, step, detector, progress)
            if _follows_most_prominent(tracker.follower, sightings):
                tracker.follower.eligible = sightings.most_prominent  # in the following shots
                process(frames)
            else:
                other = sightings
    if other:
        camera = camera and CameraMotion(fps, camera.camera)
        appearance, tracker = new_tracker(camera)
        tracker.follower.eligible = other.most_prominent
        tracker.follower.notes.append(SEVERAL_PEOPLE)
        with closing(tracker), images() as frames:
            process(frames)
    if not any(tracker.poses):  # for example against the light
        appearance, tracker = new_tracker(None)
        with closing(tracker), images() as frames:
            process(map(with_contrast, frames))
    return tracker, appearance, camera


def _never_backward(progress: Progress) -> Progress:
    """Report to ``progress`` the largest share so far, since some videos are processed twice."""
    largest = 0.0

    def report(share: float, text: str) -> None:
        nonlocal largest
        largest = max(largest, share)
        progress(largest, text)

    return report


def _follows_most_prominent(follower: Follower, sightings: Sightings) -> bool:
    """Whether the person followed is the one to follow by the whole video, or nobody is known yet."""
    return follower.last is None or bool(sightings.most_prominent([follower.last], follower.shot, follower.time))


def _part(seen: Landmarks, start: int, stop: int, camera: CameraMotion | None) -> Landmarks:
    """The landmarks from one frame to before another, and the camera's rotation meanwhile."""
    if camera is None:
        return seen.part(start, stop)
    ratio, std = camera.focal_ratio(start, stop)
    turned, travels, notes = camera.rotations(start, stop, ratio)
    part = replace(seen, notes=seen.notes + notes).part(start, stop)
    return replace(part, camera_rotation=turned, camera_travels=travels, focal_ratio=ratio, focal_std=std)


def survey(video: Video, step: int, detector: Detector, progress: Progress) -> Sightings:
    """All people in a video, by a search every `SEARCH_SECONDS`.

    The person who would be followed by these images alone counts as followed.
    """
    sightings, follower, cuts, fps = Sightings(video.width, video.height), Follower(), CutFinder(), video.fps / step
    every = max(1, round(SEARCH_SECONDS * fps))
    with closing(_prefetched(video.frames(step))) as frames:
        for number, frame in enumerate(frames):
            if changed := cuts(frame):
                follower.reset(another_shot=changed == CERTAIN_CUT)
            if number % every:
                continue
            time, people = number / fps, detector.find_people([frame])[0]
            progress(0.0, f"Looking for all people: {time:.1f} s of {video.duration:.1f} s")
            chosen = follower.find(frame, people, time)
            if chosen is not None:
                follower.update(frame, chosen, time)
            seen = []
            for person in people:
                if chosen is None or person.size > COMPARABLE_SIZE_RATIO * chosen.size:
                    pose = detector.find_landmarks([frame], [person])[0]
                    if pose is not None:
                        seen.append((pose.image, colour_histogram(frame, person), person is chosen))
            sightings.add(time, follower.shot, sorted(seen, key=lambda each: not each[2]))
    return sightings


def _prefetched(frames: Iterable[np.ndarray]) -> Generator[np.ndarray, None, None]:
    """The same frames, decoded in a thread while the previous ones are processed."""
    waiting: deque[Future] = deque()
    source = iter(frames)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(FRAMES_AHEAD):
            waiting.append(pool.submit(next, source, None))
        while (frame := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, source, None))
            yield frame
