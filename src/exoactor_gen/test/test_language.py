import pytest

from exoactor_core.errors import BadInput
from exoactor_gen.mannequin.language import parse
from exoactor_gen.mannequin.movement import Movement

GOOD = [
    ("walk forward two metres", [Movement("walk", direction="forward", distance=2.0)]),
    ("Walk 1.5m.", [Movement("walk", distance=1.5)]),
    ("please walk 6 feet", [Movement("walk", distance=6 * 0.3048)]),
    ("walk two and a half meters backward", [Movement("walk", direction="backward", distance=2.5)]),
    ("walk sideways to the left 50 cm", [Movement("walk", direction="left", distance=0.5)]),
    ("take two steps to the left", [Movement("step", direction="left", count=2)]),
    ("take a step back", [Movement("step", direction="backward", count=1)]),
    ("step forward with your left foot", [Movement("step", direction="forward", side="left")]),
    (
        "walk forward two steps, then wave with your right hand",
        [Movement("walk", direction="forward", count=2), Movement("wave", side="right")],
    ),
    (
        "turn left 90 degrees, then walk one metre",
        [Movement("turn", direction="left", angle=90), Movement("walk", distance=1.0)],
    ),
    ("turn around", [Movement("turn", direction="around")]),
    ("turn one hundred and eighty degrees", [Movement("turn", angle=180)]),
    ("turn right by forty-five degrees", [Movement("turn", direction="right", angle=45)]),
    ("make a half turn", [Movement("turn", angle=180)]),
    ("turn a quarter turn to the left", [Movement("turn", direction="left", angle=90)]),
    ("turn left 90", [Movement("turn", direction="left", angle=90)]),
    ("turn your head to the left", [Movement("look", direction="left")]),
    ("look left, then right", [Movement("look", direction="left"), Movement("look", direction="right")]),
    ("wave with the left hand for 3 seconds", [Movement("wave", side="left", seconds=3)]),
    ("with your left hand, wave", [Movement("wave", side="left")]),
    ("the robot should wave slowly", [Movement("wave", pace=0.75)]),
    ("turn left, then quickly wave", [Movement("turn", direction="left"), Movement("wave", pace=1.1)]),
    ("wave hello", [Movement("wave")]),
    ("raise your left and right arms", [Movement("raise", side="both")]),
    ("raise your arms to the side", [Movement("raise", side="both", direction="side")]),
    ("reach up with both hands", [Movement("reach", side="both", direction="up")]),
    ("point to the right with your left arm", [Movement("point", side="left", direction="right")]),
    ("squat twice", [Movement("squat", count=2)]),
    ("squat down 3 times", [Movement("squat", direction="down", count=3)]),
    ("bow and clap five times", [Movement("bow"), Movement("clap", count=5)]),
    ("sit down and stand up", [Movement("sit", direction="down")]),
    ("sit down, wait for 3 seconds, then stand up", [Movement("sit", direction="down", seconds=3)]),
    ("kick the ball with your left foot", [Movement("kick", side="left", object="ball")]),
    ("punch three times", [Movement("punch", count=3)]),
    ("push the door with both hands", [Movement("push", side="both", object="door")]),
    ("pick up the box", [Movement("pick up", direction="up", object="box")]),
    ("pick the box up with your right hand", [Movement("pick up", direction="up", side="right", object="box")]),
    ("walk around the box", [Movement("walk", direction="around", object="box")]),
    ("go around the obstacle on the right side", [Movement("walk", side="right", direction="around", object="box")]),
    (
        "walk to the table and put your right hand on it",
        [Movement("walk", object="table"), Movement("touch", side="right", object="table")],
    ),
    (
        "sit down on the chair, then stand up, and wave",
        [Movement("sit", direction="down", object="chair"), Movement("wave")],
    ),
    ("sweep the floor for 5 seconds", [Movement("sweep", seconds=5)]),
    (
        "reach down and pick up the bottle, then place it on the table",
        [Movement("pick up", direction="up", object="bottle"), Movement("place", object="bottle", at="table")],
    ),
    (
        "pick up the box with both hands and carry it to the table",
        [Movement("pick up", direction="up", side="both", object="box"), Movement("carry", object="box", at="table")],
    ),
    (
        "pick up the ball from the table, walk to the basket, put it into the basket",
        [
            Movement("pick up", direction="up", object="ball", at="table"),
            Movement("walk", object="basket"),
            Movement("place", object="ball", at="basket"),
        ],
    ),
    (
        "walk to the desk, kick the box, then pick it up and put it down on the floor",
        [
            Movement("walk", object="table"),
            Movement("kick", object="box"),
            Movement("pick up", direction="up", object="box"),
            Movement("place", direction="down", object="box", at="floor"),
        ],
    ),
    ("lay both hands on the box", [Movement("touch", side="both", object="box")]),
    ("walk forward, slowly", [Movement("walk", direction="forward", pace=0.75)]),
    ("walk forward, two metres, quickly", [Movement("walk", direction="forward", distance=2, pace=1.1)]),
    ("turn left, 45 degrees", [Movement("turn", direction="left", angle=45)]),
    (
        "wave with your left hand, then with your right hand",
        [Movement("wave", side="left"), Movement("wave", side="right")],
    ),
    ("march in place", [Movement("march")]),
    ("approach the desk, then get up", [Movement("walk", object="table"), Movement("stand")]),
    ("walk back to the table", [Movement("walk", object="table")]),
    ("take a seat for 2 seconds", [Movement("sit", seconds=2)]),
    (
        "pick up the bottle and the cup",
        [Movement("pick up", direction="up", object="bottle"), Movement("pick up", object="cup")],
    ),
    ("take the cup from the table", [Movement("pick up", direction="up", object="cup", at="table")]),
    ("take a bow", [Movement("bow")]),
    ("bend down and grab the bottle", [Movement("pick up", object="bottle")]),
    ("reach for the bottle on the table", [Movement("reach", object="bottle", at="table")]),
    ("face the chair, then look at the ball", [Movement("turn", object="chair"), Movement("look", object="ball")]),
    ("look around", [Movement("look", direction="left"), Movement("look", direction="right")]),
    ("hit the punching bag twice", [Movement("punch", count=2, object="bag")]),
    ("push the box 50 cm forward", [Movement("push", direction="forward", distance=0.5, object="box")]),
    ("move the chair", [Movement("push", object="chair")]),
    ("move the box onto the table", [Movement("place", object="box", at="table")]),
    (
        "pick up the ball and hold it for 3 seconds",
        [Movement("pick up", direction="up", object="ball"), Movement("hold", object="ball", seconds=3)],
    ),
    (
        "put the bottle on the table, then the cup",
        [Movement("place", object="bottle", at="table"), Movement("place", object="cup", at="table")],
    ),
    (
        "carry the box to the chair and put it there",
        [Movement("carry", object="box", at="chair"), Movement("place", object="box", at="chair")],
    ),
    (
        "carry the cup to the table, then the bottle",
        [Movement("carry", object=name, at="table") for name in ("cup", "bottle")],
    ),
    ("walk in a circle around the box", [Movement("walk", direction="around", angle=360, object="box")]),
    ("avoid the obstacle", [Movement("walk", direction="around", object="box")]),
    ("put your hands up", [Movement("raise", side="both", direction="up")]),
    ("sweep the floor with a broom", [Movement("sweep")]),
    ("sweep the cup off the table", [Movement("sweep", object="cup", at="table")]),
    ("wipe the table", [Movement("wipe", object="table")]),
    ("pass under the bar", [Movement("walk", direction="under", object="bar")]),
    ("step over the bar", [Movement("walk", direction="over", object="bar")]),
    ("nod twice, then stand still for two seconds", [Movement("nod", count=2), Movement("stand", seconds=2)]),
]


@pytest.mark.parametrize(("text", "actions"), GOOD, ids=lambda v: v if isinstance(v, str) else "")
def test_understood(text, actions):
    assert parse(text) == tuple(actions)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "empty"),
        (" ... ", "empty"),
        ("and then", "no action"),
        ("do a somersault", "'somersault'"),
        ("dance with joy", "'joy'"),
        ("walk to the kitchen", "'kitchen'"),
        ("don't walk", "don't"),
        ("the box", "no action"),
        ("wilk to the table", "'wilk' (did you mean 'walk'?): it"),
        ("walk forwerd", "(did you mean 'forward'?)"),
        ("step over the box", "does not walk over the box"),
        ("push the chair under the table", "say how far"),
        ("push to the left", "needs an object"),
        ("put the box behind the table", "'behind'"),
        (
            "throwing nothing, punch three times",
            "'throwing' (a hand lets go only of what stands: say 'put the ball into the basket' or 'kick the ball'), "
            "'nothing'",
        ),
        ("walk 2", "no unit"),
        ("walk 100 metres", "out of range"),
        ("walk 2.5 steps", "whole number"),
        ("wave your leg", "'leg'"),
        ("move your arms", "'your arms'"),
        ("walk sideways", "left or right"),
        ("turn", "direction or an angle"),
        ("turn upward", "'up'"),
        ("kick with both feet", "both feet"),
        ("walk left right", "contradict"),
        ("walk around", "needs an object"),
        ("place on the table", "needs an object"),
        ("touch", "needs an object"),
        ("pick up the piano", "'piano'"),
        ("squat twice three times", "two values"),
        ("walk 2 metres in 30 steps", "step length"),
        ("歩いて", "'歩いて'"),
    ],
)
def test_not_understood(text, named):
    with pytest.raises(BadInput) as caught:
        parse(text)
    message = str(caught.value)
    assert named in message
    assert "\n" not in message


def test_error_names_what_is_known_and_where_to_look():
    with pytest.raises(BadInput) as caught:
        parse("moonwalk")
    for word in ("moonwalk", "walk", "wave", "pick up", "exoactor doctor"):
        assert word in str(caught.value)
