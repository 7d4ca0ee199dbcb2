"""Objects: hands touch them in time, what is held moves with the hand, and nobody walks through them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from exoactor_core.body import BodyModel
from exoactor_core.errors import BadInput
from exoactor_core.scene_mjcf import check
from exoactor_gen.mannequin.choreography import Choreography, choreograph
from exoactor_gen.mannequin.language import parse
from exoactor_gen.mannequin.mannequin import ROBOT_STATURE
from exoactor_gen.mannequin.objects import Held, ObjectMotion, RoomObject, corners, surface_distance
from exoactor_gen.mannequin.score import Score
from exoactor_gen.mannequin.task import checks_of
from exoactor_gen.mannequin.whole_body import MEAN_STATURE, stature

TASKS = [
    "walk around the box",
    "walk around the table to the right",
    "walk to the table and put your right hand on it",
    "touch the box with both hands",
    "sit down on the chair, then stand up",
    "walk to the chair, then sit down on it",
    "sweep the floor",
    "reach down and pick up the bottle, then place it on the table",
    "pick up the bottle with your left hand from the table and put it on the floor",
    "pick up the box with both hands and carry it to the table",
    "carry the basket to the chair and put it down on it",
    "pick up the ball and put it into the basket",
    "kick the box",
    "kick the ball twice with your left foot",
    "pick up the box, then wave, then walk forward two metres",
    "pick up the ball with both hands, then place the box on the table",
    "push the box twice",
    "push the chair",
    "push the table",
    "push the bottle",
    "push the ball",
    "reach for the cup",
    "punch the bag with both hands",
    "point at the chair, then turn to the table",
    "put the bottle on the table, then the box",
    "hold the cup, then put it down on the floor",
    "walk to the chair, turn around, then walk backward 1.5 metres",
    "walk to the box, then walk in a circle around it",
    "push the chair, then sit down",
]
SIZE = {kind: RoomObject.imagined(kind, np.zeros(4)).size for kind in ("box", "ball", "basket", "table")}
SHAPES = {
    "usual": np.zeros(10),
    "tall": np.array([1.0, 0.5, -0.5, 0.3, 0.5, 0.5, 1.0, 0, 0, 0]),
    "short": np.array([-1.5, 0.2, 0.0, -0.5, 0.0, 0.3, 0.0, 0, 0, 0]),
}
RANGES = {1: 140, 2: 140, 4: 140, 5: 140, 7: 45, 8: 45, 18: 140, 19: 140, 20: 95, 21: 95}
"""Degrees that a person's hips, knees, ankles, elbows and wrists (bent and turned) reach."""
FPS = 30.0


@pytest.fixture(scope="module")
def body():
    return BodyModel.load()


def _done(task, body, shape="usual"):
    motion, objects = Choreography.of_instruction(task, stature(body, SHAPES[shape]) / MEAN_STATURE).perform(
        SHAPES[shape], body
    )
    rot, pos = body.transforms(motion)
    rest = body.rest_joints(motion.betas)
    hands = {
        side: pos[:, wrist] + rot[:, wrist] @ (0.8 * (rest[knuckle] - rest[wrist]))
        for side, wrist, knuckle in (("left", 20, 28), ("right", 21, 43))
    }
    return motion, {obj.object.kind: obj for obj in objects}, pos, hands, np.arange(len(motion)) / FPS


def _overlaps(objects):
    """Pairs of objects of which one's corners or feet get into the other; baskets may hold something."""
    pairs = []
    for one in objects.values():
        points = np.concatenate([corners(one), one.position[:, None] + [0.0, 0.0, 0.02]], axis=1)
        points += 0.03 * (points.mean(axis=1, keepdims=True) - points)
        for other in objects.values():
            if one is not other and "basket" not in (one.object.kind, other.object.kind):
                into = min(surface_distance(other, points[:, k]).min() for k in range(9))
                pairs += [(one.object.kind, other.object.kind, into)] if into < -0.015 else []
    return pairs


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("task", TASKS)
def test_motion_with_objects_can_be_done(body, task, shape):
    motion, objects, pos, hands, times = _done(task, body, shape)
    soles = body.foot_points(motion)
    planted = (motion.contacts[1:] * motion.contacts[:-1]) > 0
    assert np.linalg.norm(np.diff(soles, axis=0), axis=2)[planted].max() < 1e-3
    assert np.abs(soles[motion.contacts > 0][:, 2]).max() < 2e-3
    pose = np.concatenate([motion.global_orient, motion.body_pose], axis=1).reshape(len(motion), 22, 3)
    for joint in range(22):
        turn = Rotation.from_rotvec(pose[:, joint])
        fastest = 5.6 if joint >= 12 else 7.0  # the knees of a short person who walks: 6.8
        assert (turn[:-1].inv() * turn[1:]).magnitude().max() * FPS < fastest, joint
        if joint in RANGES:
            assert np.degrees(turn.magnitude().max()) < RANGES[joint], joint
    assert np.linalg.norm(np.diff(motion.transl, axis=0), axis=1).max() * FPS < 1.4
    assert np.abs(np.diff(pos, 3, axis=0)).max() * FPS**3 < 1700.0  # walking: 1600

    assert not _overlaps(objects)
    for obj in objects.values():
        speed = np.linalg.norm(np.diff(obj.position, axis=0), axis=1).max() * FPS
        assert speed < 2.6, obj.object.kind  # nothing jumps
        kicked = "kick" in task or task.startswith(("push the box", "push the ball"))  # low: with a foot
        sole = min(surface_distance(obj, soles[:, k]).min() for k in range(4))
        assert sole > (-0.03 if kicked else 0.04), obj.object.kind
        for joint in (0, 1, 2, 3, 4, 5, 6, 9, 15):
            least = 0.03 if obj.object.kind == "chair" else 0.05
            assert surface_distance(obj, pos[:, joint]).min() > least, (obj.object.kind, joint)
        for event in obj.object.events:
            if isinstance(event, Held):
                held = (times >= event.begin) & (times < event.end)
                for side in event.sides:
                    assert np.abs(surface_distance(obj, hands[side])[held]).max() < 0.03


TOUCHED = [("table", "right"), ("box", "left"), ("bottle", "right"), ("ball", "left"), ("button", "right")]


@pytest.mark.parametrize(("name", "side"), TOUCHED)
@pytest.mark.parametrize("shape", SHAPES)
def test_touching(body, name, side, shape):
    _, objects, pos, hands, _ = _done(f"touch the {name} with your {side} hand for 2 seconds", body, shape)
    away = surface_distance(objects[name], hands[side])
    assert away.min() > 0.0
    touched = away < 0.03
    assert 2.0 <= touched.sum() / FPS < 3.0
    other = "left" if side == "right" else "right"
    assert surface_distance(objects[name], hands[other]).min() > 0.05
    assert pos[touched, 0, :2].std(axis=0).max() < 0.01  # the person stands still meanwhile


def test_the_palm_lies_on_the_table(body):
    motion, objects, _, hands, _ = _done("touch the table", body)
    rot, _ = body.transforms(motion)
    touched = surface_distance(objects["table"], hands["right"]) < 0.025
    np.testing.assert_allclose(rot[touched, 21][:, 2, 1].min(), 1.0, atol=0.02)  # its back looks up


@pytest.mark.parametrize(
    ("task", "name", "height"),
    [
        ("walk to the table, then pick up the box", "box", SIZE["table"][2]),
        ("put the bottle on the table, then the box", "box", 0.0),
        ("walk to the table, then walk to the basket", "basket", 0.0),
        ("walk to the table, then kick the ball", "ball", 0.0),
        ("reach for the bottle", "bottle", SIZE["table"][2]),
        ("reach down for the bottle", "bottle", 0.0),
    ],
)
def test_where_an_object_stands_first(body, task, name, height):
    _, objects, *_ = _done(task, body)
    assert objects[name].position[0, 2] == pytest.approx(height)


def test_the_arm_aims_at_what_is_pointed_at(body):
    for task, side in (("point at the chair", "right"), ("point left at the ball", "left")):
        _, objects, pos, hands, _ = _done(task, body)
        (obj,) = objects.values()
        shoulder = pos[:, 16 if side == "left" else 17]
        middle = obj.position + np.array([0.0, 0.0, 0.6 * obj.object.size[2]])
        arm, way = hands[side] - shoulder, middle - shoulder
        aimed = np.sum(arm * way, 1) / np.linalg.norm(arm, axis=1) / np.linalg.norm(way, axis=1) > np.cos(0.03)
        assert aimed.sum() > 1.0 * FPS
        assert np.linalg.norm(arm, axis=1)[aimed].min() > 0.55  # straight


@pytest.mark.parametrize("shape", SHAPES)
def test_a_punch_gets_to_the_bag_and_not_into_it(body, shape):
    _, objects, _, hands, _ = _done("punch the bag twice with your left hand", body, shape)
    away = surface_distance(objects["bag"], hands["left"])
    near = away < 0.06
    assert np.sum(near[1:] & ~near[:-1]) == 2
    assert away.min() > 0.04


def test_what_is_pushed_moves_with_what_stands_on_it(body):
    for task, name in (
        ("push the box 50 cm", "box"),
        ("put the bottle on the table, then push the table 50 cm", "table"),
    ):
        _, objects, *_ = _done(task, body)
        moved = objects[name].position[-1] - objects[name].position[0]
        np.testing.assert_allclose(moved, [0.5, 0.0, 0.0], atol=0.02)
        assert np.ptp(objects[name].position[:, 2]) == 0.0
    on = objects["bottle"].position[-1] - objects["table"].position[-1]
    assert np.all(np.abs(on[:2]) < objects["table"].object.size[:2] / 2)


def test_a_circle_ends_where_it_began(body):
    _, objects, pos, *_ = _done("walk in a circle around the table", body)
    off = pos[:, 0, :2] - objects["table"].position[:, :2]
    assert np.ptp(np.unwrap(np.arctan2(off[:, 1], off[:, 0]))) == pytest.approx(2.0 * np.pi, abs=0.1)
    ring = np.linalg.norm(off, axis=1)[len(off) // 2 :]
    assert np.ptp(ring) < 0.15


def test_what_is_held_moves_with_the_hand_and_stays_where_it_is_put(body):
    _, objects, _, hands, times = _done("pick up the bottle, then place it on the table", body)
    bottle, table = objects["bottle"], objects["table"]
    (event,) = bottle.object.events
    held = (times >= event.begin) & (times < event.end)
    assert np.ptp(bottle.position[~held & (times < event.begin)], axis=0).max() == 0.0
    assert np.ptp(bottle.position[times >= event.end], axis=0).max() == 0.0
    off = bottle.position - hands["right"]
    assert np.linalg.norm(off[held] - off[held][0], axis=1).max() < 0.01
    assert np.ptp(bottle.position[held], axis=0).max() > 0.8  # carried
    x, y, z = bottle.position[-1] - table.position[-1]
    assert z == pytest.approx(table.object.size[2])
    assert abs(x) < table.object.size[0] / 2 - 0.03
    assert abs(y) < table.object.size[1] / 2


def test_the_ball_ends_in_the_basket(body):
    _, objects, *_ = _done("pick up the ball and put it into the basket", body)
    off = objects["ball"].position[-1] - objects["basket"].position[-1]
    assert np.hypot(*off[:2]) + SIZE["ball"][0] / 2 < SIZE["basket"][0] / 2
    assert 0.0 < off[2] < 0.1


@pytest.mark.parametrize("shape", SHAPES)
def test_the_chair_carries_the_person(body, shape):
    motion, objects, pos, _, _ = _done("sit down on the chair for 2 seconds, then stand up", body, shape)
    seated = np.abs(np.diff(pos[:, 0, 2])) * FPS < 0.01
    seated &= pos[1:, 0, 2] < 0.7
    assert seated.sum() / FPS > 1.8
    stature = body.rest_joints(motion.betas)[15, 1] - body.rest_foot_points(motion.betas)[0, 1]
    above = surface_distance(objects["chair"], pos[:, 0])[1:][seated]
    np.testing.assert_allclose(above, 0.066 * stature / 0.9, atol=0.02)  # half the depth of a seat of flesh


def test_the_broom_stays_in_both_hands_and_on_the_floor(body):
    _, objects, _, hands, times = _done("sweep the floor for 6 seconds", body)
    broom = objects["broom"]
    (event,) = broom.object.events
    swept = (times >= event.begin) & (times < event.end)
    assert event.end - event.begin > 5.0
    across = broom.position[swept][:, 1]
    assert np.sum((across[1:] > 0) != (across[:-1] > 0)) >= 4
    assert np.abs(broom.position[swept][:, 2]).max() < 0.03
    for side in event.sides:
        assert np.abs(surface_distance(broom, hands[side])[swept]).max() < 0.03


def test_a_kicked_object_moves_when_the_foot_meets_it(body):
    motion, objects, *_ = _done("kick the ball with your right foot", body)
    ball = objects["ball"]
    toe = body.foot_points(motion)[:, 3]
    first = int(np.argmax(np.linalg.norm(np.diff(ball.position, axis=0), axis=1) > 1e-6))
    assert surface_distance(ball, toe)[first] < 0.03
    assert ball.position[-1, 0] - ball.position[0, 0] == pytest.approx(1.0)


def test_walking_around_ends_behind_it_on_the_same_line(body):
    for way, sign in (("left", 1.0), ("right", -1.0)):
        _, objects, pos, *_ = _done(f"walk around the box to the {way}", body)
        place = objects["box"].position[0]
        assert pos[-1, 0, 0] > place[0] + 0.4
        assert pos[-1, 0, 1] == pytest.approx(0.0, abs=0.03)
        assert sign * pos[:, 0, 1][np.argmin(np.abs(pos[:, 0, 0] - place[0]))] > 0.45


def test_a_straight_walk_goes_past_what_is_in_the_way(body):
    walk = "walk forward two metres"
    moved = choreograph(parse(walk), np.zeros(10), body).transl
    _, objects, pos, *_ = _done(f"pick up the ball, place it on the floor, then {walk}", body)
    np.testing.assert_allclose(pos[-1, 0, :2] - pos[0, 0, :2], (moved[-1] - moved[0])[:2], atol=0.05)
    assert np.abs(pos[:, 0, 1]).max() > 0.25
    assert objects["ball"].position[-1, 2] == 0.0


@pytest.mark.parametrize(("way", "sides"), [("next to", (-1.0, 1.0)), ("to the left of", (1.0,))])
def test_what_is_put_beside_something_stands_on_the_same_surface_clear_of_it(way, sides):
    made = Choreography.of_instruction(f"put the bottle {way} the cup")
    bottle, cup = made.score.objects["bottle"], made.score.objects["cup"]
    off = bottle.pose[:3] - cup.pose[:3]
    yaw = made.score.pose[2]
    left = off[:2] @ [-np.sin(yaw), np.cos(yaw)]
    assert np.sign(left) in sides
    assert 0.15 < abs(left) < 0.25
    assert bottle.pose[2] == pytest.approx(cup.pose[2])
    checks = {(c.kind, c.object, c.target) for c in made.interaction.checks}
    assert {("on", "bottle", "table"), ("at", "bottle", "cup"), ("stands", "cup", "")} <= checks


@pytest.mark.parametrize("hand", ["left", "right"])
@pytest.mark.parametrize("part", ["left", "right", "middle"])
def test_what_is_put_on_a_part_of_the_table_ends_there_and_is_taken_from_there(part, hand):
    where = "in the middle of the table" if part == "middle" else f"on the {part} side of the table"
    made = Choreography.of_instruction(f"put the bottle {where} with your {hand} hand", 0.75)
    bottle, table = made.score.objects["bottle"], made.score.objects["table"]

    def aside(obj):
        yaw = made.score.pose[2]
        return (obj.pose[:2] - table.pose[:2]) @ [-np.sin(yaw), np.cos(yaw)]

    low, high = {"left": (0.2, 0.4), "right": (-0.4, -0.2), "middle": (-0.05, 0.05)}[part]
    assert low < aside(bottle) < high
    assert table.distance(bottle.pose) == 0.0
    (at,) = (c for c in made.interaction.checks if c.kind == "at")
    np.testing.assert_allclose(at.place, bottle.pose[:2])
    made = Choreography.of_instruction(f"take the bottle {where.replace('on', 'from', 1).replace('in', 'from', 1)}")
    bottle, table = made.score.objects["bottle"], made.score.objects["table"]
    assert low < bottle.start[1] - table.start[1] < high


@pytest.mark.parametrize(("task", "moved", "goal"), [
    ("push the box against the wall", "box", "wall"),
    ("move the chair to the table", "chair", "table"),
    ("kick the ball towards the door", "ball", "door"),
])  # fmt: skip
def test_what_is_moved_towards_something_gets_there(task, moved, goal):
    made = Choreography.of_instruction(task, 0.75)
    obj, end = made.score.objects[moved], made.score.objects[goal]
    assert np.linalg.norm(end.nearest(obj.start[:2]) - obj.start[:2]) > 0.4
    left = np.linalg.norm(end.nearest(obj.pose[:2]) - obj.pose[:2]) - obj.extent(made.score.pose[2])
    assert 0.0 < left < 0.06
    (check,) = (c for c in made.interaction.checks if c.kind in ("moved", "kicked"))
    np.testing.assert_allclose(check.place, (obj.pose - obj.start)[:2], atol=1e-6)


def test_two_things_are_put_into_one_basket_beside_each_other():
    made = Choreography.of_instruction("put the cup into the basket and the bottle into the basket")
    cup, bottle, basket = (made.score.objects[name].pose[:2] for name in ("cup", "bottle", "basket"))
    assert np.linalg.norm(cup - bottle) > 0.08
    assert max(np.linalg.norm(cup - basket), np.linalg.norm(bottle - basket)) < 0.14


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("walk to the handle", "no handle to walk to"),
        ("pick up the chair", "cannot pick up the chair"),
        ("kick the table", "does not kick the table"),
        ("pick up the box and put it into the basket", "does not fit"),
        ("pick up the bottle and put it on the ball", "cannot be put on the ball"),
        ("put the ball into the basket, then put the ball into the basket, then kick the ball", "basket stands where"),
        ("punch the box", "punches a punching bag"),
        ("push the bag", "too heavy"),
        ("put the box on the table, then the basket", "no room left on the table"),
        ("push the bottle one metre", "fall off the table"),
        ("push the table, then walk to the chair, then put the box on the chair, then sit down", "box is on the chair"),
        ("point up at the chair", "does not stand that high"),
        ("look at the handle", "no handle to look at"),
        ("open the drawer and take out the cup", "'take the cup out of the drawer' a task of its own"),
    ],
)
def test_what_cannot_be_done_with_objects(task, said):
    with pytest.raises(BadInput, match=said):
        choreograph(parse(task), np.zeros(10))


def test_a_step_into_an_object_is_refused():
    score = Score()
    score.objects["box"] = RoomObject.imagined("box", np.array([-0.6, 0.0, 0.0, 0.0]))
    with pytest.raises(BadInput, match="leads through the box"):
        score.walk_distance("backward", 0.5)


def test_distances_to_surfaces():
    still = np.eye(3)[None]
    for kind, point, expected in (
        ("box", (0.0, 0.0, SIZE["box"][2] + 0.1), 0.1),
        ("box", (SIZE["box"][0] / 2 + 0.03, 0.0, 0.1), 0.03),
        ("box", (0.0, 0.0, SIZE["box"][2] - 0.01), -0.01),
        ("ball", (0.0, 0.3, SIZE["ball"][2] / 2), 0.3 - SIZE["ball"][0] / 2),
        ("table", (0.0, 0.0, 0.3), SIZE["table"][2] - 0.03 - 0.3),
    ):
        obj = ObjectMotion(RoomObject.imagined(kind, np.zeros(4)), np.zeros((1, 3)), still)
        assert surface_distance(obj, np.array([point]))[0] == pytest.approx(expected)
        assert np.ptp(corners(obj)[0], axis=0) == pytest.approx(SIZE[kind])


def test_what_is_kicked_away_need_not_stay_near():
    choreography = Choreography.of_instruction("walk to the ball and kick it with your left foot", 1.0)
    checks = checks_of(choreography.movements, choreography.score.objects)
    assert [check.kind for check in checks] == ["kicked", "stands"]


@pytest.mark.parametrize(
    "task",
    [
        "put the red cup into the blue basket",
        "put the cup and the bottle on the table",
        "put the cup next to the bottle on the table",
        "put the cup into the drawer",
        "take the cup out of the drawer",
        "take the bottle out of the basket",
        "take the ball out of the bin",
    ],
)
def test_what_is_imagined_stands_apart_and_on_something(task):
    scene = Choreography.of_instruction(task, ROBOT_STATURE / MEAN_STATURE).scene
    check(scene)


def test_two_objects_are_taken_with_two_hands():
    choreography = Choreography.of_instruction("pick up the red cup and the blue cup", ROBOT_STATURE / MEAN_STATURE)
    assert choreography.score.held == {"right": "red_cup", "left": "blue_cup"}
    assert [action.side for action in choreography.plan.actions] == [None, "left"]
    check(choreography.scene)


@pytest.mark.parametrize(
    ("task", "done"),
    [
        ("pick up the bottle, then wave", [("pick up", None), ("wave", "left")]),
        ("pick up the cup with your left hand and open the door", [("pick up", "left"), ("open", "right")]),
        ("pick up the bottle, then clap", [("pick up", None), ("place", None), ("clap", None)]),
        ("pick up the box, then salute", [("pick up", None), ("place", None), ("salute", None)]),
    ],
)
def test_what_hands_hold_is_put_down_in_an_action_of_its_own(task, done):
    movements = Choreography.of_instruction(task).movements
    assert [(m.kind, m.side) for m in movements] == done
    assert [m.object for m in movements if m.kind == "place"] in ([], [movements[0].object])


def test_who_walks_back_gets_past_what_stands_there_and_ends_where_it_began():
    done = Choreography.of_instruction("put the bottle on the chair, then walk back", ROBOT_STATURE / MEAN_STATURE)
    np.testing.assert_allclose(done.score.pose[:2], 0.0, atol=0.03)
    assert ("at", (0.0, 0.0)) in [(c.kind, c.place) for c in done.interaction.checks]


def test_what_is_not_there_is_mimed_and_said_to_be():
    assert Choreography.of_instruction("punch the target, then kick the ball").mimed == ("target",)


def test_a_table_stands_where_who_holds_something_has_room_to_turn_to_it():
    room = Choreography.of_instruction("pick up the bottle and put it next to the cup", ROBOT_STATURE / MEAN_STATURE)
    table = room.score.objects["table"]
    assert table.distance(np.zeros(2)) > 0.6


def test_a_ball_on_the_floor_is_pushed_with_a_foot():
    choreography = Choreography.of_instruction("push the ball forward", ROBOT_STATURE / MEAN_STATURE)
    assert {contact.body for contact in choreography.interaction.contacts} == {"right_foot"}
