from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from exoactor_core.contacts import BODY_PARTS
from exoactor_core.errors import BadInput
from exoactor_core.scene import everyday, joined
from exoactor_core.task_checks import Check, Rollout, evaluate

FRAMES = 50
SCENE = joined(
    [
        everyday("table", pos=(1, 0, 0)),
        everyday("bottle", pos=(1, 0, 0.74)),
        everyday("basket", pos=(1, 0.4, 0.74)),
        everyday("door", pos=(3, 0, 0)),
        everyday("shelf", pos=(1, 3, 0)),
        everyday("chair", pos=(-1, 0, 0)),
    ]
)


def rollout(root=(0, 0, 0.79), turn=0.0, force=None, **ends):
    """Objects go straight and evenly to their ends: x, y, z and what they turn about z, or a whole pose."""
    poses = np.tile(SCENE.poses, (FRAMES, 1, 1))
    for name, end in ends.items():
        i = SCENE.ids.index(name)
        quat = Rotation.from_euler("z", end[3]).as_quat(scalar_first=True) if len(end) == 4 else end[3:]
        poses[:, i] = np.linspace(poses[0, i], [*end[:3], *quat], FRAMES)
        poses[:, i, 3:] /= np.linalg.norm(poses[:, i, 3:], axis=1, keepdims=True)
    forces = np.zeros((FRAMES, len(SCENE), len(BODY_PARTS)))
    for name, part, newtons, frames in force or ():
        forces[10 : 10 + frames, SCENE.ids.index(name), BODY_PARTS.index(part)] = newtons
    quat = Rotation.from_euler("y", turn).as_quat(scalar_first=True)
    return Rollout(SCENE, 50.0, poses, np.tile([*root, *quat], (FRAMES, 1)), forces)


FALLEN = [1, 0, 0.77, *Rotation.from_euler("x", np.pi / 2).as_quat(scalar_first=True)]
DOOR = [3 - 0.43 * np.sin(0.8), 0.43 - 0.43 * np.cos(0.8), 0, 0.8]  # about its hinge
FLOOR = {"kind": "on", "object": "bottle"}


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ({"kind": "in", "object": "bottle", "target": "basket"}, {"bottle": (1, 0.4, 0.75, 0)}, {}),
        ({"kind": "on", "object": "bottle", "target": "table"}, {}, {"bottle": (1, 0.4, 0.78, 0)}),
        ({"kind": "on", "object": "bottle", "target": "table"}, {}, {"bottle": (1.5, 0, 0.74, 0)}),
        (
            {"kind": "on", "object": "bottle", "target": "shelf"},
            {"bottle": (1, 3, 0.42, 0)},
            {"bottle": (1, 3, 0.6, 0)},
        ),
        (FLOOR, {"bottle": (2, 0, 0, 0)}, {}),
        ({"kind": "at", "object": "bottle", "place": (1.2, 0)}, {"bottle": (1.25, 0, 0.74, 0)}, {}),
        ({"kind": "at", "object": "bottle", "target": "basket", "tolerance": 0.3}, {"bottle": (1, 0.2, 0.74, 0)}, {}),
        ({"kind": "set_down", "object": "bottle"}, {"bottle": (2, 0, 0.04, 0)}, {"bottle": (2, 0, -0.6, 0)}),
        ({"kind": "lifted", "object": "bottle", "amount": 0.1}, {"bottle": (1, 0, 1, 0)}, {"bottle": (1, 0, 0.8, 0)}),
        ({"kind": "moved", "object": "bottle"}, {"bottle": (1, 0.2, 0.74, 0)}, {"bottle": (1, 0, 1.2, 0)}),
        (
            {"kind": "moved", "object": "bottle", "place": (1, 0)},
            {"bottle": (1.2, 0, 0.74, 0)},
            {"bottle": (0.8, 0, 0.74, 0)},
        ),
        ({"kind": "turned", "object": "bottle"}, {"bottle": (1, 0, 0.74, 0.5)}, {"bottle": FALLEN}),
        ({"kind": "opened", "object": "door"}, {"door": DOOR}, {"door": (3.5, 0, 0, 0)}),
        (
            {"kind": "touched", "object": "bottle", "body": "left_hand"},
            {"force": [("bottle", "left_hand", 3, 1)]},
            {"force": [("bottle", "right_hand", 3, 1)]},
        ),
        (
            {"kind": "wiped", "object": "table", "amount": 0.5},
            {"force": [("table", "left_hand", 3, 25)]},
            {"force": [("table", "left_foot", 3, 25)]},
        ),
        (
            {"kind": "kicked", "object": "bottle"},
            {"bottle": (1.5, 0, 0, 0), "force": [("bottle", "left_foot", 3, 1)]},
            {"bottle": (1.5, 0, 0, 0), "force": [("bottle", "left_hand", 3, 1)]},
        ),
        (
            {"kind": "sat", "object": "chair"},
            {"force": [("chair", "seat", 150, 20)]},
            {"force": [("chair", "seat", 150, 5)]},
        ),
        ({"kind": "stands"}, {"turn": 0.1}, {"turn": 1.2}),
        ({"kind": "stands"}, {}, {"root": (0, 0, 0.4)}),
        ({"kind": "stands", "object": "bottle"}, {"bottle": (2, 0, 0.74, 0.5)}, {"bottle": FALLEN}),
        ({"kind": "robot_near", "object": "table"}, {"root": (0.3, 0, 0.79)}, {"root": (0, 0, 0.79)}),
        ({"kind": "at", "place": (1, 0)}, {"root": (0.95, 0, 0.79)}, {}),
    ],
)
def test_checks(check, good, bad):
    (done,) = evaluate([Check(**check)], rollout(**good))
    assert done.passed, done.sentence
    (failed,) = evaluate([Check(**check)], rollout(**bad))
    assert not failed.passed, failed.sentence
    assert failed.data()["kind"] == check["kind"]


def way(*points):
    """The robot goes along points x, y."""
    at = np.linspace(0.0, len(points) - 1.0, FRAMES)
    x, y = (np.interp(at, np.arange(len(points)), line) for line in np.transpose(points))
    still = rollout()
    return replace(still, root=np.column_stack([x, y, still.root[:, 2:]]))


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ({"kind": "robot_around", "object": "chair"}, [(0, 0), (-1, 0.8), (-2, 0), (-1, 0.8)], [(0, 0), (-1, 0.8)]),
        (
            {"kind": "robot_around", "object": "chair", "amount": 5.5},
            [(0, 0), (-1, 0.8), (-2, 0), (-1, -0.8), (0, 0)],
            [(0, 0), (-1, 0.8), (-2, 0), (-1, 0.8), (0, 0)],
        ),
        ({"kind": "robot_through", "object": "door"}, [(0, 0), (3.5, 0.2)], [(0, 0), (2.5, 0.2)]),
        ({"kind": "robot_through", "object": "door"}, [(3.5, 0), (2.0, 0)], [(0, 0), (3, 1), (3.5, 0)]),
    ],
)
def test_checks_of_the_way(check, good, bad):
    (done,), (failed,) = (evaluate([Check(**check)], way(*points)) for points in (good, bad))
    assert done.passed, done.sentence
    assert not failed.passed, failed.sentence


def test_what_falls_the_last_twenty_centimetres_was_not_set_down():
    for top, passed in ((0.2, False), (0.08, True)):  # a hand may let go of it a little above
        poses = np.tile(SCENE.poses, (FRAMES, 1, 1))
        poses[:, SCENE.ids.index("bottle"), 2] = np.maximum(0.0, top - 0.5 * 9.81 * (np.arange(FRAMES) / 50.0) ** 2)
        (result,) = evaluate([Check(kind="set_down", object="bottle")], Rollout(SCENE, 50.0, poses, rollout().root))
        assert result.passed == passed, result.sentence


def test_the_sentence_says_what_came_of_it():
    (result,) = evaluate([Check(kind="lifted", object="bottle")], rollout())
    assert result.sentence == "The bottle was lifted by 0 m; at least 0.05 m is asked for."


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (Check(kind="in", object="dog", target="basket"), "no object 'dog'"),
        (Check(kind="lifted"), "needs an object"),
        (Check(kind="opened", object="bottle"), "no articulation"),
        (Check(kind="at", object="bottle"), "position or a target"),
    ],
)
def test_a_check_that_cannot_be_evaluated_gets_a_sentence(check, words):
    with pytest.raises(BadInput, match=words):
        evaluate([check], rollout())
