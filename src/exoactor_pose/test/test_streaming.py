import tracemalloc

import numpy as np
import pytest
from pinhole import project
from scipy.spatial.transform import Rotation

from exoactor_core.body import BODY_JOINT_NAMES, BodyModel
from exoactor_core.errors import BadInput
from exoactor_core.motion import HumanMotion
from exoactor_pose.detection.anatomy import landmark_points
from exoactor_pose.detection.detectors import Pose
from exoactor_pose.detection.people import Person
from exoactor_pose.fitting.camera import Camera
from exoactor_pose.fitting.fit import fit
from exoactor_pose.fitting.terms import Weights
from exoactor_pose.streaming import MotionStream, joined
from exoactor_pose.video.person_tracker import Tracker

FPS = 15.0
CAMERA = Camera(520, 520, 320, 240, pitch=0.12, height=1.5)
JOINT = {name: 3 * (k - 1) for k, name in enumerate(BODY_JOINT_NAMES)}


@pytest.fixture(scope="module")
def body():
    return BodyModel.load()


def sidling(body, frames):
    """To the side and back, one foot after the other, while the right arm waves."""
    t = np.arange(frames) / FPS
    pose = np.zeros((frames, 63))
    pose[:, JOINT["left_shoulder"] + 2] = -1.25
    pose[:, JOINT["right_shoulder"] + 2] = 0.5 - 0.4 * np.sin(2 * np.pi * t / 1.5)
    pose[:, JOINT["right_elbow"] + 1] = 0.8
    # both knees bend a little; a step of 1 s: the hip that leads goes out, then the other follows
    spread = 0.15 * (1 - np.cos(2 * np.pi * t))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        pose[:, JOINT[f"{side}_hip"] + 2] = sign * spread
        pose[:, JOINT[f"{side}_hip"]], pose[:, JOINT[f"{side}_knee"]], pose[:, JOINT[f"{side}_ankle"]] = -0.2, 0.4, -0.2
    root = Rotation.from_euler("z", -np.pi / 2 + 0.3) * Rotation.from_euler("x", np.pi / 2)
    still = HumanMotion(FPS, np.zeros((frames, 3)), np.tile(root.as_rotvec(), (frames, 1)), pose, np.zeros(10))
    soles = body.foot_points(still)
    # the foot behind pushes in the first half of a step, the other pulls in the second
    behind = (t % 1.0 < 0.5)[:, None]
    way = np.where(t % 8.0 < 4.0, 1, -1)[:, None]
    left = np.where(way > 0, ~behind, behind)
    planted = np.where(left, soles[:, 0], soles[:, 2])
    step = np.where(left[1:], np.diff(soles[:, 0], axis=0), np.diff(soles[:, 2], axis=0))
    place = np.concatenate([np.zeros((1, 3)), np.cumsum(-step, axis=0)])
    place[:, 2] = -planted[:, 2]
    place += [4.0, 0.0, 0.0]
    return HumanMotion(FPS, place, still.global_orient, pose, np.zeros(10))


class Told:
    """A detector that is told what there is to see in each frame (its first blocks of JPEG are the frame's number)."""

    def __init__(self, body, motion, noise_px=1.5, batch=1):
        self.batch = batch
        rotations, joints = body.transforms(motion)
        carriers, places = landmark_points(body, motion.betas)
        points = joints[:, carriers] + np.einsum("tkij,kj->tki", rotations[:, carriers], places)
        pixels = project(CAMERA, points) + noise_px * np.random.default_rng(0).normal(size=(len(motion), 33, 2))
        self.image = np.concatenate([pixels, np.ones((len(motion), 33, 1))], axis=-1)
        world = points @ CAMERA.rotation.T
        self.world = world - world[:, 23:25].mean(axis=1, keepdims=True)
        self.hidden = np.zeros(len(motion), bool)

    @staticmethod
    def frames(count):
        for k in range(count):
            frame = np.full((48, 64, 3), 100, np.uint8)
            frame[:8, :8], frame[:8, 8:16] = 4 * (k % 60), 4 * (k // 60)
            yield frame

    def _person(self, k):
        hips = self.image[k, 23:25, :2].mean(axis=0)
        return None if self.hidden[k] else Person(hips, 300.0, (*hips, 375.0, 0.0))

    @staticmethod
    def _number(frame):
        low, high = (round(float(frame[:8, at : at + 8].mean()) / 4) for at in (0, 8))
        return low + 60 * high

    def find_people(self, frames):
        return [[p] if (p := self._person(self._number(frame))) else [] for frame in frames]

    def find_landmarks(self, frames, people):
        numbers = [self._number(frame) for frame in frames]
        return [None if self.hidden[k] else Pose(self.image[k], self.world[k], person=self._person(k)) for k in numbers]

    def close(self):
        pass


def stream(body, detector, weights=None):
    return MotionStream(detector, FPS, Camera(520, 520, 320, 240), 640, 480, body, weights=weights)


def run(body, detector, count):
    """Segments, and how many frames had come when each was out."""
    source, out, when = stream(body, detector), [], []
    for number, frame in enumerate(detector.frames(count), 1):
        new = source.push(frame)
        out += new
        when += [number] * len(new)
    last = source.close()
    return source, out + last, when + [count] * len(last)


def steps(body, motion):
    """Greatest change of the joints' velocity from frame to frame, (T - 2,) m/s."""
    joints = body.joints(motion)[:, :22]
    return np.linalg.norm(np.diff(joints, n=2, axis=0), axis=-1).max(axis=1) * FPS


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_segments_are_continuous_and_near_the_whole_fit(body, batch):
    truth = sidling(body, 150)
    detector = Told(body, truth, batch=batch)
    source, segments, when = run(body, detector, 150)
    done = np.cumsum([len(s) for s in segments])
    assert done[-1] == 150
    assert len(segments) == 10
    # a frame's motion is out when `delay` more have come
    first = np.concatenate([[0], done[:-1]])
    assert (np.array(when) - 1 - first <= source.delay).all()
    assert source.delay == 28 + batch
    motion = joined(segments, body)
    changes, seams = steps(body, motion), done[:-1]
    assert changes[[k + d for k in seams for d in (-2, -1)]].max() < 1.5 * np.percentile(changes, 95)
    tracker = Tracker(detector, FPS)
    for frame in detector.frames(150):
        tracker([frame])
    whole = fit(tracker.landmarks(640, 480), Camera(520, 520, 320, 240), body).motion
    joints, wanted = body.joints(motion)[:, :22], body.joints(whole)[:, :22]
    assert np.linalg.norm(joints - joints[:, :1] - (wanted - wanted[:, :1]), axis=-1).mean() < 0.015
    assert np.linalg.norm(joints[:, 0] - wanted[:, 0], axis=-1).max() < 0.08  # of 8 m of way
    soles = body.foot_points(motion)
    planted = np.minimum(motion.contacts[1:], motion.contacts[:-1]) > 0.5
    assert np.linalg.norm(np.diff(soles[..., :2], axis=0), axis=-1)[planted].max() < 0.02  # also at the seams


def test_what_two_seconds_tell_of_shape_and_camera_is_not_the_last_word(body):
    detector = Told(body, sidling(body, 150), noise_px=4.0)
    source, cameras = stream(body, detector), []
    segments = []
    for frame in detector.frames(150):
        if new := source.push(frame):
            segments += new
            cameras += [each.camera for each in source.fits]
    source.close()
    tracker = Tracker(detector, FPS)
    for frame in detector.frames(150):
        tracker([frame])
    whole = fit(tracker.landmarks(640, 480), Camera(520, 520, 320, 240), body)
    first, last = (np.linalg.norm(s.betas - whole.motion.betas) for s in (segments[0], segments[-1]))
    assert last < 0.7 * first
    first, last = (abs(camera.pitch - whole.camera.pitch) for camera in (cameras[0], cameras[-1]))
    assert last < 0.7 * first


def test_a_long_stream_needs_no_more_memory_than_a_short_one(body):
    count = round(60 * FPS)
    detector = Told(body, sidling(body, count))
    source = stream(body, detector, Weights(iterations=(1, 1)))
    done, kept, used = 0, 0, {}
    tracemalloc.start()
    for number, frame in enumerate(detector.frames(count), 1):
        segments = source.push(frame)
        done += sum(len(s) for s in segments)
        assert number - done <= source.delay
        kept = max(kept, len(source.tracker.poses))
        if number in (count // 4, count):
            used[number] = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept <= round(4.5 * FPS) + 1
    assert used[count] - used[count // 4] < 200_000  # bytes, for 45 s


@pytest.mark.parametrize("batch", [1, 2])
def test_the_stream_begins_with_the_person_and_bridges_gaps(body, batch):
    detector = Told(body, sidling(body, 100), batch=batch)
    detector.hidden[[*range(7), 8, *range(40, 48)]] = True
    source, segments, _ = run(body, detector, 100)
    assert source.start == 7
    motion = joined(segments, body)
    assert len(motion) == 93
    assert motion.confidence[33:41].max() == 0.0
    assert steps(body, motion).max() < 1.2


@pytest.mark.parametrize("batch", [1, 2])
def test_the_stream_ends_when_the_person_is_gone(body, batch):
    detector = Told(body, sidling(body, 100), batch=batch)
    detector.hidden[50:] = True
    source, segments, _ = run(body, detector, 100)
    assert "ends at 3.3 s: nobody is there" in source.ended
    assert len(joined(segments, body)) == 50  # not the frames in which nobody is seen
    assert source.push(np.zeros((48, 64, 3), np.uint8)) == []


@pytest.mark.parametrize("hidden", [3, 20, 29])
def test_the_motion_ends_when_the_person_was_seen_last(body, hidden):
    detector = Told(body, sidling(body, 60))
    detector.hidden[60 - hidden :] = True
    _, segments, _ = run(body, detector, 60)
    assert len(joined(segments, body)) == 60 - hidden


@pytest.mark.parametrize(("batch", "cut"), [(1, 40), (2, 40), (2, 41)])
def test_the_stream_ends_at_a_cut(body, batch, cut):
    detector = Told(body, sidling(body, 60), batch=batch)
    source, done = stream(body, detector), 0
    for number, frame in enumerate(detector.frames(60)):
        shown = frame if number < cut else np.where(np.arange(3) == 0, 250, 0).astype(np.uint8) + 0 * frame
        shown[:8, :16] = frame[:8, :16]
        done += sum(len(s) for s in source.push(shown))
    assert "ends at 2.7 s: the video is cut" in source.ended
    assert done == cut
    assert source.close() == []


def test_short_streams(body):
    for count, batch in ((1, 1), (4, 1), (1, 2), (5, 2)):
        _, segments, when = run(body, Told(body, sidling(body, count), batch=batch), count)
        assert [len(s) for s in segments] == [count]
        assert when == [count]
    detector = Told(body, sidling(body, 5))
    detector.hidden[:] = True
    with pytest.raises(BadInput, match="Nobody was found in 5 frames"):
        run(body, detector, 5)
