import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import true_runs
from exoactor_core.body import BodyModel
from exoactor_core.constants import GRAVITY
from exoactor_core.errors import BadInput
from exoactor_gen.mannequin.choreography import choreograph
from exoactor_gen.mannequin.language import parse
from exoactor_gen.mannequin.timeline import Track
from exoactor_gen.mannequin.whole_body import pendulum

TASKS = [
    "walk forward two metres", "walk backward 1 m", "walk left 60 cm", "walk quickly 2 m", "step right",
    "turn left 90 degrees", "turn right 200 degrees", "wave", "wave both hands slowly", "raise both arms",
    "raise your arms to the side", "reach down", "reach up", "reach left with your right hand", "point right",
    "squat twice", "bow 70 degrees", "sit down and stand up", "kick twice", "kick with your left foot", "clap",
    "lean left", "lunge twice", "lunge slowly with your left leg", "stand on one leg", "lift your left knee",
    "dance", "salute",
    "high five with your left hand", "cross your arms", "put your hands on your hips", "put both hands on your head",
    "shrug", "cheer", "flap your arms", "circle your arms", "knock", "shake your head", "punch three times",
    "punch with both hands",
    "look left, then up", "nod", "push", "pick up the box", "do two jumping jacks", "bend your knees slightly",
    "turn left 90 degrees, then walk one metre, then wave with your left hand and squat",
]  # fmt: skip
SHAPES = [np.zeros(10), np.array([1.0, 0.5, -0.5, 0.3, 0.5, 0.5, 1.0, 0, 0, 0])]


@pytest.fixture(scope="module")
def body():
    return BodyModel.load()


def _heading(motion):
    ahead = Rotation.from_rotvec(motion.global_orient).apply([0.0, 0.0, 1.0])
    return np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))


def _centre_of_mass(joints):
    """Coarser than the choreography's own, on purpose: thigh, shank, trunk, head, arm."""
    parts = [(0.4346, 0.5 * (joints[:, 3] + joints[:, 9])), (0.0694, joints[:, 15])]
    for hip, knee, ankle, shoulder, elbow, wrist in ((1, 4, 7, 16, 18, 20), (2, 5, 8, 17, 19, 21)):
        parts += [
            (0.1416, 0.59 * joints[:, hip] + 0.41 * joints[:, knee]),
            (0.0433, 0.55 * joints[:, knee] + 0.45 * joints[:, ankle]),
            (0.0137, joints[:, ankle]),
            (0.0271, 0.42 * joints[:, shoulder] + 0.58 * joints[:, elbow]),
            (0.0223, 0.45 * joints[:, elbow] + 0.55 * joints[:, wrist]),
        ]
    return sum(m * p for m, p in parts) / sum(m for m, _ in parts)


@pytest.mark.parametrize("shape", SHAPES, ids=["neutral", "tall"])
@pytest.mark.parametrize("task", TASKS)
def test_motion_can_be_done(body, task, shape):
    motion = choreograph(parse(task), shape, body)
    soles = body.foot_points(motion)
    planted = (motion.contacts[1:] * motion.contacts[:-1]) > 0
    slide = np.linalg.norm(np.diff(soles, axis=0), axis=2)
    assert slide[planted].max() < 1e-3  # per frame
    assert np.abs(soles[motion.contacts > 0][:, 2]).max() < 2e-3
    assert soles[..., 2].min() > -2e-3
    pose = np.concatenate([motion.global_orient, motion.body_pose, motion.hand_pose], axis=1).reshape(
        len(motion), -1, 3
    )
    for joint in range(pose.shape[1]):
        turn = Rotation.from_rotvec(pose[:, joint])
        speed = (turn[:-1].inv() * turn[1:]).magnitude() * motion.fps
        assert speed.max() < (6.8 if "quickly" in task else 6.2), (joint, speed.max())
    root_speed = np.linalg.norm(np.diff(motion.transl, axis=0), axis=1) * motion.fps
    assert root_speed.max() < 1.4
    assert root_speed[:10].max() < 0.15
    assert root_speed[-5:].max() < 0.05
    assert motion.contacts[0].all()
    assert motion.contacts[-1].all()


@pytest.mark.parametrize("shape", SHAPES, ids=["neutral", "tall"])
def test_a_jump_is_in_free_flight_between_its_feet(body, shape):
    motion = choreograph(parse("jump twice"), shape, body)
    soles = body.foot_points(motion)
    planted = (motion.contacts[1:] * motion.contacts[:-1]) > 0
    assert np.linalg.norm(np.diff(soles, axis=0), axis=2)[planted].max() < 1e-3
    assert np.abs(soles[motion.contacts > 0][:, 2]).max() < 2e-3
    assert soles[..., 2].min() > -2e-3
    air = true_runs(motion.contacts.sum(axis=1) == 0)
    assert len(air) == 2
    for start, end in air:
        assert soles[start:end, :, 2].min(axis=1).max() == pytest.approx(0.24, abs=0.01)
        falling = np.diff(motion.transl[start:end, 2], 2) * motion.fps**2
        np.testing.assert_allclose(falling, -GRAVITY, atol=0.2)
    pose = np.concatenate([motion.global_orient, motion.body_pose], axis=1).reshape(len(motion), -1, 3)
    for joint in range(pose.shape[1]):
        turn = Rotation.from_rotvec(pose[:, joint])
        assert ((turn[:-1].inv() * turn[1:]).magnitude() * motion.fps).max() < 11.0
    assert motion.contacts[[0, -1]].all()


@pytest.mark.parametrize("task", ["squat", "bow 70 degrees", "sit down and stand up", "pick up the box", "reach down"])
def test_centre_of_mass_stays_over_the_feet(body, task):
    motion = choreograph(parse(task), np.zeros(10), body)
    mass = _centre_of_mass(body.joints(motion))
    soles = body.foot_points(motion)
    back, front = soles[:, [0, 2], 0].max(axis=1), soles[:, [1, 3], 0].min(axis=1)
    assert np.all(mass[:, 0] > back + 0.02)
    assert np.all(mass[:, 0] < front - 0.03)
    assert np.abs(mass[:, 1]).max() < 0.05


def test_kick_stands_on_the_other_foot(body):
    motion = choreograph(parse("kick with your right foot"), np.zeros(10), body)
    air = motion.contacts[:, 3] == 0
    assert air.sum() > 20
    assert not np.any(motion.contacts[:, :2] == 0)
    joints, soles = body.joints(motion), body.foot_points(motion)
    off = _centre_of_mass(joints)[air][5:-5, 1] - soles[air][5:-5, 0, 1]
    assert np.abs(off).max() < 0.06
    assert soles[:, 3, 2].max() > 0.2


@pytest.mark.parametrize(
    ("task", "forward", "left"),
    [
        ("walk forward two metres", 2, 0),
        ("walk back 80 cm", -0.8, 0),
        ("walk left 1 m", 0, 1),
        ("walk 7 feet", 2.1336, 0),
    ],
)
def test_distance(body, task, forward, left):
    motion = choreograph(parse(task), np.zeros(10), body)
    moved = body.joints(motion)[-1, 0] - body.joints(motion)[0, 0]
    np.testing.assert_allclose(moved, [forward, left, 0], atol=0.03)
    np.testing.assert_allclose(_heading(motion)[-1], 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("task", "degrees"),
    [
        ("turn left 90 degrees", 90),
        ("turn right 45 degrees", -45),
        ("turn around", 180),
        ("turn left 400 degrees", 400),
    ],
)
def test_angle(body, task, degrees):
    heading = _heading(choreograph(parse(task), np.zeros(10), body))
    assert np.degrees(heading[-1] - heading[0]) == pytest.approx(degrees, abs=0.1)
    # each step turns a foot by 30 degrees at most, so the body by half of it at a time
    assert np.abs(np.diff(heading)).max() * 30 < 2.5


def test_directions_compose(body):
    motion = choreograph(parse("turn left 90 degrees, then walk one metre"), np.zeros(10), body)
    moved = body.joints(motion)[-1, 0] - body.joints(motion)[0, 0]
    np.testing.assert_allclose(moved, [0, 1, 0], atol=0.03)


def test_the_arm_that_was_asked_for(body):
    for side, up, down in (("left", 20, 21), ("right", 21, 20)):
        joints = body.joints(choreograph(parse(f"wave with your {side} hand"), np.zeros(10), body))
        assert joints[:, up, 2].max() > joints[:, 15, 2].max() - 0.1
        assert joints[:, down, 2].max() < 1.0


def test_who_leans_to_a_side_has_the_head_there(body):
    for side, sign in (("left", 1.0), ("right", -1.0)):
        joints = body.joints(choreograph(parse(f"lean to the {side}"), SHAPES[0], body))
        aside = sign * (joints[:, 15] - joints[:, 0])[:, 1]
        assert aside.max() > 0.1
        assert np.abs(aside[[0, -1]]).max() < 0.01


def test_counts(body):
    pelvis = body.joints(choreograph(parse("squat three times"), np.zeros(10), body))[:, 0, 2]
    low = pelvis < 0.8
    assert np.sum(low[1:] & ~low[:-1]) == 3


def test_a_jumping_jack_steps_out_to_each_side_with_the_arms_up(body):
    joints = body.joints(choreograph(parse("do two jumping jacks"), SHAPES[0], body))
    ankles, wrists, shoulders = joints[:, [7, 8]], joints[:, [20, 21]], joints[:, [16, 17]]
    for k, sign in ((0, 1.0), (1, -1.0)):
        out = sign * (ankles[:, k, 1] - ankles[0, k, 1])
        assert out.max() == pytest.approx(0.24, abs=0.05)
        assert abs(out[-1]) < 0.02
        assert (wrists[:, k, 2] - shoulders[:, k, 2])[out > 0.2].max() > 0.15
    together = np.ptp(ankles[..., 1], axis=1) < 0.25
    assert (wrists[..., 2] - shoulders[..., 2])[together].min() < -0.3


@pytest.mark.parametrize(
    "task", ["raise your right arm to shoulder height", "raise your right arm to the side 90 degrees"]
)
def test_an_arm_is_raised_as_high_as_is_said(body, task):
    joints = body.joints(choreograph(parse(task), SHAPES[0], body))
    assert (joints[:, 21, 2] - joints[:, 17, 2]).max() == pytest.approx(0.0, abs=0.06)


def test_a_squat_goes_as_deep_as_is_said(body):
    for task, depth in (("squat 12 cm", 0.12), ("squat", 0.34)):
        pelvis = body.joints(choreograph(parse(task), SHAPES[0], body))[:, 0, 2]
        assert pelvis[0] - pelvis.min() == pytest.approx(depth, abs=0.03)


def test_walking_speed_and_steps(body):
    motion = choreograph(parse("walk forward 4 metres"), np.zeros(10), body)
    assert 0.55 < 4.0 / (motion.duration - 1.6) < 0.9
    swings = sum(np.sum((motion.contacts[1:, k] == 0) & (motion.contacts[:-1, k] > 0)) for k in (1, 3))
    assert swings == 11  # ten steps of 0.4 m and one that closes


def test_too_long():
    with pytest.raises(BadInput, match="takes longer"):
        choreograph(parse("wave for 60 seconds, squat for 50 seconds, wave for 60 seconds"), np.zeros(10))


def test_frame_rate(body):
    slow, fast = (choreograph(parse("walk 1 m"), np.zeros(10), body, fps) for fps in (30, 60))
    assert fast.duration == pytest.approx(slow.duration, abs=0.05)
    n = min(len(slow), (len(fast) + 1) // 2)
    np.testing.assert_allclose(fast.transl[::2][:n], slow.transl[:n], atol=0.01)


def test_pendulum_obeys_its_equation():
    pressure = np.zeros((90, 2))
    pressure[40:] = [0.2, 0.1]
    mass = pendulum(pressure, 0.9, 30.0)
    acceleration = np.diff(mass, 2, axis=0) * 900
    np.testing.assert_allclose(mass[1:-1] - 0.9 / 9.81 * acceleration, pressure[1:-1], atol=1e-9)


def test_track_rests_and_arrives():
    track = Track([0.0, 1.0])
    track.move(1.0, 2.0, [2.0, 1.0])
    track.move(3.0, 4.0, [1.0, 0.0])
    values = track.sample(np.array([0.0, 1.0, 1.5, 2.0, 2.5, 4.0, 9.0]))
    np.testing.assert_allclose(values, [[0, 1], [0, 1], [1, 1], [2, 1], [2, 1], [1, 0], [1, 0]], atol=1e-12)


def test_who_hops_is_in_the_air_on_one_leg_and_lands_on_it(body):
    motion = choreograph(parse("hop twice on your left leg"), SHAPES[0], body)
    left, right = motion.contacts[:, :2].max(axis=1), motion.contacts[:, 2:].max(axis=1)
    hops = np.flatnonzero(np.diff((left == 0.0).astype(int)) == 1)
    assert len(hops) == 2
    assert np.all(right[hops[0] : hops[1] + 10] == 0.0)


def test_an_arm_that_is_lowered_later_stays_up_until_then(body):
    motion = choreograph(parse("raise your right hand, nod twice and lower it"), SHAPES[0], body)
    wrist, head = body.joints(motion)[:, 21, 2], body.joints(motion)[:, 15, 2]
    up = np.flatnonzero(wrist > head)
    assert np.all(np.diff(up) == 1)
    assert len(up) / motion.fps > 2.0
    assert wrist[-1] < head[-1] - 0.4


def test_hands_meet_over_the_head(body):
    joints = body.joints(choreograph(parse("clap three times over your head"), SHAPES[0], body))
    apart = np.linalg.norm(joints[:, 28] - joints[:, 43], axis=1)
    claps = np.flatnonzero((apart[1:-1] < apart[:-2]) & (apart[1:-1] <= apart[2:]) & (apart[1:-1] < 0.15)) + 1
    assert len(claps) == 3
    assert np.all(joints[claps, 20, 2] > joints[claps, 15, 2])
