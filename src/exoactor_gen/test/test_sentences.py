"""An operator's sentences: each is understood as it is meant, or refused with the words that are not understood."""

from dataclasses import replace

import pytest

from exoactor.errors import BadInput
from exoactor_gen.language import Action, parse
from exoactor_gen.rules import from_words, to_language


def do(kind: str, **details: object) -> Action:
    return Action(kind, **details)


MEANT: list[tuple[str, list[Action]]] = [
    # amounts: decimals, words, units
    ("wave for 1,5 seconds", [do("wave", seconds=1.5)]),
    ("wave for 1.5 seconds", [do("wave", seconds=1.5)]),
    ("walk forward 0,5 m", [do("walk", direction="forward", distance=0.5)]),
    ("walk 2 m forwards", [do("walk", direction="forward", distance=2.0)]),
    ("Walk forward half a metre, please.", [do("walk", direction="forward", distance=0.5)]),
    ("walk three and a half metres", [do("walk", distance=3.5)]),
    ("turn left by 45°", [do("turn", direction="left", angle=45.0)]),
    ("turn 180 degrees to the right", [do("turn", direction="right", angle=180.0)]),
    ("do three squats", [do("squat", count=3)]),
    ("Clap your hands three times!", [do("clap", count=3)]),
    ("bow 30 degrees", [do("bow", angle=30.0)]),
    ("take three steps back", [do("step", direction="backward", count=3)]),
    ("take a step to the right", [do("step", direction="right", count=1)]),
    ("walk backwards two steps", [do("walk", direction="backward", count=2)]),
    ("walk forward in four steps", [do("walk", direction="forward", count=4)]),
    ("stand still for a minute", [do("stand", seconds=60.0)]),
    # ways
    ("walk backward", [do("walk", direction="backward")]),
    ("step sideways to the right", [do("step", direction="right")]),
    ("turn right", [do("turn", direction="right")]),
    ("turn counter-clockwise 90 degrees", [do("turn", direction="left", angle=90.0)]),
    ("point up with your left arm", [do("point", direction="up", side="left")]),
    ("reach to the left with your left hand", [do("reach", direction="left", side="left")]),
    ("look down", [do("look", direction="down")]),
    ("raise both arms above your head", [do("raise", side="both", direction="up")]),
    # in place, in a circle, back, staying
    ("march in place", [do("march")]),
    ("march on the spot for 5 seconds", [do("march", seconds=5.0)]),
    ("walk in place for ten steps", [do("march", count=10)]),
    ("walk in a circle", [do("walk", direction="around", angle=360.0)]),
    ("walk in a circle to the right", [do("walk", direction="around", angle=360.0, side="right")]),
    (
        "walk forward two metres, turn around and walk back",
        [do("walk", direction="forward", distance=2.0), do("turn", direction="around"), do("walk", thing="start")],
    ),
    ("turn around and walk back", [do("turn", direction="around"), do("walk", direction="forward")]),
    (
        "turn around and walk back two metres",
        [do("turn", direction="around"), do("walk", direction="forward", distance=2.0)],
    ),
    (
        "walk to the table, then walk back to the start",
        [do("walk", thing="table"), do("walk", thing="start")],
    ),
    ("squat down and stay there for 3 seconds", [do("squat", direction="down", seconds=3.0)]),
    ("raise your left arm and hold it for two seconds", [do("raise", side="left", seconds=2.0)]),
    ("squat down, wait for 2 seconds and stand up", [do("squat", direction="down", seconds=2.0)]),
    # things
    ("take the bottle to the chair", [do("carry", thing="bottle", at="chair")]),
    ("bring the box to the table", [do("carry", thing="box", at="table")]),
    ("take the bottle from the table", [do("pick up", direction="up", thing="bottle", at="table")]),
    (
        "pick up the ball and put it in the basket",
        [do("pick up", direction="up", thing="ball"), do("place", thing="ball", at="basket")],
    ),
    ("kick the ball with your right foot twice", [do("kick", thing="ball", side="right", count=2)]),
    ("go to the chair and sit down", [do("walk", thing="chair"), do("sit", direction="down")]),
    ("push the box forward", [do("push", thing="box", direction="forward")]),
    ("put both hands on the table", [do("touch", thing="table", side="both")]),
    # order, repetition, manner
    ("wave, then nod, then bow", [do("wave"), do("nod"), do("bow")]),
    ("wave twice, wait two seconds, wave again", [do("wave", count=2), do("stand", seconds=2.0), do("wave")]),
    ("slowly walk forward one metre", [do("walk", direction="forward", distance=1.0, pace=0.75)]),
    ("nod and then quickly clap twice", [do("nod"), do("clap", pace=1.1, count=2)]),
    ("first bow, then twice nod", [do("bow"), do("nod", count=2)]),
    ("turn left a bit", [do("turn", direction="left", angle=30.0)]),
    ("walk forward a little", [do("walk", direction="forward", distance=0.5)]),
    ("could you please wave with your left hand?", [do("wave", side="left")]),
    ("I want the robot to walk forward one metre", [do("walk", direction="forward", distance=1.0)]),
    ("start walking", [do("walk")]),
    ("go and pick up the ball", [do("pick up", direction="up", thing="ball")]),
]

REFUSED: list[tuple[str, str]] = [
    # negation and conditions
    ("stop walking", "walking"),
    ("stop waving", "waving"),
    ("wave, then stop waving", "waving"),
    ("do not walk", "not"),
    ("never turn around", "never"),
    ("walk without waving", "without"),
    ("walk to the table but don't touch it", "don't"),
    ("wave until I say stop", "until"),
    ("walk if the way is free", "if"),
    ("wave or nod", "or"),
    ("walk instead of waving", "instead"),
    ("after walking two metres, wave", "after"),
    ("wave before you walk", "before"),
    # signs and numbers
    ("walk forward -2 m", "-2"),
    ("walk forward −2 m", "2"),
    ("turn left -90 degrees", "-90"),
    ("walk 1,500 m", "1,500"),
    ("walk 2-3 metres", "2-3"),
    ("walk at 2 m/s", "m/s"),
    ("walk a few steps", "few"),
    ("walk forward three times", "times"),
    ("walk 5 km", "km"),
    ("wave in 3 seconds", "in"),
    ("bow 90 degrees", "90"),
    ("wave 3 times for 2 seconds", "times"),
    # manner and places
    ("walk like a robot", "like a robot"),
    ("sit on the floor", "floor"),
    ("sit on the table", "table"),
    ("stand on one leg", "one"),
    ("stand on the chair", "chair"),
    ("squat down and stay there", "how long"),
    ("walk around the table twice", "twice"),
    ("walk on the table", "on"),
    ("walk very slowly", "very"),
    ("walk forward waving", "waving"),
    ("push the box left", "left"),
    ("turn the box", "box"),
    ("walk home", "home"),
    ("wave at me", "me"),
    ("carry the box onto the table", "onto"),
    ("pick up the ball and the box and put them on the table", "them"),
    ("walk in circles", "circles"),
    ("kick the robot", "robot"),
    ("wave again", "again"),
]


@pytest.mark.parametrize(("text", "actions"), MEANT, ids=lambda v: v if isinstance(v, str) else "")
def test_understood_as_meant(text, actions):
    assert parse(text).actions == tuple(actions)
    by_plan = to_language(from_words(text)).actions
    assert [replace(a, seconds=None, pace=1.0) for a in by_plan] == [
        replace(a, seconds=None, pace=1.0) for a in actions
    ]


@pytest.mark.parametrize(("text", "named"), REFUSED)
def test_refused_with_the_words_named(text, named):
    with pytest.raises(BadInput) as caught:
        parse(text)
    message = str(caught.value)
    assert named in message.partition("it knows")[0]
    assert "\n" not in message
