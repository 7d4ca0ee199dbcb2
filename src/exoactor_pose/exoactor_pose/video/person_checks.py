"""Checks that the person followed is whole and upright; and reasons why nobody was followed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from exoactor_core.errors import BadInput
from exoactor_core.video import Video
from exoactor_pose.detection.detectors import Detector
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.detection.people import Follower

SMALL_PERSON_PX = 80.0
"""px: a smaller person is reported."""
MIN_BODY_VISIBILITY = 0.7
"""Minimum mean visibility of the landmarks below the head within the image: people have 0.8 or more; things that a
detector mistakes for people (flowers, motorcycles, lettering) 0.66 or less."""
NO_PERSON = (
    "No person is credibly seen in the video: what the detector took for one is too unclear. Use a video that shows "
    "one whole person."
)
UPPER, LOWER = [11, 12], [25, 26, 27, 28]
"""Shoulders; knees and ankles."""


def whole_person(seen: Landmarks) -> Landmarks:
    """Refuse half a person and one who is upside down; note if the legs are outside the image."""
    image = seen.image[seen.found]
    inside = ((image[..., :2] >= 0) & (image[..., :2] < [seen.width, seen.height])).all(axis=-1)
    body = inside[:, 11:]
    unclear = (image[:, 11:, 2] * body).sum() < MIN_BODY_VISIBILITY * body.sum()

    def refusal(reason: str) -> BadInput:
        return BadInput(NO_PERSON if unclear else reason)

    inside &= image[..., 2] > 0.2
    upper, lower = inside[:, UPPER].any(axis=1), inside[:, LOWER].any(axis=1)
    for half, there in (("upper", lower), ("lower", upper)):
        if there.mean() < 0.5:
            raise refusal(
                f"Only the {half} half of the person is in the image in {1 - there.mean():.0%} of the frames: use a "
                "video that shows the whole person."
            )
    trunk = image[:, 23:25, :2].mean(axis=1) - image[:, 11:13, :2].mean(axis=1)
    down, length = trunk[:, 1], np.linalg.norm(trunk, axis=-1)
    if (down < -0.7 * length).mean() > 0.8:
        raise refusal("The person is upside down in most frames: turn the video by 180 degrees, or use another.")
    notes = []
    if (level := float((abs(down) < 0.5 * length).mean())) > 0.8:
        notes.append(f"The person lies in {level:.0%} of the frames; if not, turn the video by 90 degrees.")
    tall = float(np.median(np.ptp(image[..., 1], axis=1)))
    if tall < SMALL_PERSON_PX and not level > 0.8:
        notes.append(f"The person is only {tall:.0f} px tall: expect a coarse motion.")
    if not lower.all():
        notes.append(f"The legs are not in the image in {1 - lower.mean():.0%} of the frames.")
    return replace(seen, notes=(*seen.notes, *notes))


def no_person_message(video: Video, detector: Detector, follower: Follower) -> str:
    """Why nobody was followed: a rotated video, or no person in it."""
    if follower.most and follower.choice != "largest":
        most = "1 person is" if follower.most == 1 else f"{follower.most} people are"
        return f"The option person is {follower.choice}, counted from 0, but at most {most} in a frame of the video."
    some = list(video.frames(max(1, video.frame_count // 6)))
    for turns, words in ((2, "180 degrees"), (3, "90 degrees to the right"), (1, "90 degrees to the left")):
        turned = [np.ascontiguousarray(np.rot90(frame, turns)) for frame in some]
        if sum(bool(people) for frame in turned for people in detector.find_people([frame])) > len(turned) / 2:
            return f"Nobody is found in the video, but somebody is when it is turned by {words}: turn it."
    return (
        f"A person was found in 0 of {video.frame_count} frames: use a video that shows one whole person most of the "
        "time."
    )
