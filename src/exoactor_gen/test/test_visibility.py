"""The camera of a task with objects: beside the person, where nothing stands in the way."""

import numpy as np
import pytest

from exoactor_core.body import BodyModel
from exoactor_core.scene import everyday, joined
from exoactor_core.stages import GenerateRequest, load_backend
from exoactor_gen.mannequin.choreography import Choreography
from exoactor_gen.mannequin.rendering.camera import frame_person
from exoactor_gen.mannequin.rendering.visibility import hidden_share


def _view(task, *others):
    scene = joined([everyday("ball", pos=(0.6, 0.0, 0.0)), *others])
    made = load_backend("generate", "mannequin", width=64, height=64, fps=10)(GenerateRequest(task, scene=scene))
    return made.metrics["camera"]


def test_a_box_in_front_hides_the_legs_from_there_alone():
    body = BodyModel.load()
    box = joined([everyday("box", pos=(1.0, 0.0, 0.0), size=(0.4, 0.4, 0.7))])
    motion, objects = Choreography.of_instruction("push the box with both hands", scene=box).perform(
        np.zeros(10), body, 10.0
    )
    joints = body.joints(motion)
    share = {
        view: hidden_share(frame_person(joints, view, 640, 480, [0]), joints[:, :22], objects)
        for view in ("front", "back")
    }
    assert share["front"] > 0.3
    assert share["back"] == 0.0


@pytest.mark.parametrize(("foot", "view"), [("left", "side_left"), ("right", "side")])
def test_the_side_that_acts_is_looked_at(foot, view):
    assert _view(f"kick the ball with your {foot} foot") == view


@pytest.mark.parametrize(
    ("task", "view"),
    [
        ("touch the bottle with your left hand, then wave with your left hand", "side_left"),
        ("touch the bottle with your left hand, then wave with your right hand", "side"),
    ],
)
def test_no_arm_that_acts_is_hidden_by_the_body(task, view):
    made = load_backend("generate", "mannequin", width=64, height=64, fps=10)
    assert made(GenerateRequest(task)).metrics["camera"] == view


def test_what_stands_beside_the_person_is_avoided():
    wall = everyday("box", pos=(0.3, -1.2, 0.0), size=(2.0, 0.3, 1.6))
    assert _view("kick the ball with your right foot", wall) == "side_left"


def test_who_puts_something_down_is_not_seen_from_behind():
    table = everyday("table", pos=(1.4, 0.0, 0.0))
    box = everyday("box", pos=(1.27, 0.0, table.extent[1, 2]))
    made = load_backend("generate", "mannequin", width=64, height=64, fps=10)(
        GenerateRequest("pick up the box, carry it two metres and put it down", scene=joined([table, box]))
    )
    assert made.metrics["camera"] == "three_quarter_left"  # it walks away to its left


def test_who_turns_the_back_without_crouching_is_seen_where_nothing_hides_it():
    made = load_backend("generate", "mannequin", width=64, height=64, fps=10, seed=33)(
        GenerateRequest("put both cups into the basket")
    )
    assert made.metrics["camera"] == "side"  # a stand with the basket hides the person from the other side


def test_without_objects_the_person_is_seen_from_ahead():
    made = load_backend("generate", "mannequin", width=64, height=64, fps=10)(GenerateRequest("nod once"))
    assert made.metrics["camera"] == "three_quarter"
