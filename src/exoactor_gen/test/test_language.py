import pytest

from exoactor_core.errors import BadInput
from exoactor_gen.mannequin.language import Action, parse

GOOD = [
    ("walk forward two metres", [Action("walk", direction="forward", distance=2.0)]),
    ("Walk 1.5m.", [Action("walk", distance=1.5)]),
    ("please walk 6 feet", [Action("walk", distance=6 * 0.3048)]),
    ("walk two and a half meters backward", [Action("walk", direction="backward", distance=2.5)]),
    ("walk sideways to the left 50 cm", [Action("walk", direction="left", distance=0.5)]),
    ("take two steps to the left", [Action("step", direction="left", count=2)]),
    ("take a step back", [Action("step", direction="backward", count=1)]),
    ("step forward with your left foot", [Action("step", direction="forward", side="left")]),
    (
        "walk forward two steps, then wave with your right hand",
        [Action("walk", direction="forward", count=2), Action("wave", side="right")],
    ),
    (
        "turn left 90 degrees, then walk one metre",
        [Action("turn", direction="left", angle=90), Action("walk", distance=1.0)],
    ),
    ("turn around", [Action("turn", direction="around")]),
    ("turn one hundred and eighty degrees", [Action("turn", angle=180)]),
    ("turn right by forty-five degrees", [Action("turn", direction="right", angle=45)]),
    ("make a half turn", [Action("turn", angle=180)]),
    ("turn a quarter turn to the left", [Action("turn", direction="left", angle=90)]),
    ("turn left 90", [Action("turn", direction="left", angle=90)]),
    ("turn your head to the left", [Action("look", direction="left")]),
    ("look left, then right", [Action("look", direction="left"), Action("look", direction="right")]),
    ("wave with the left hand for 3 seconds", [Action("wave", side="left", seconds=3)]),
    ("with your left hand, wave", [Action("wave", side="left")]),
    ("the robot should wave slowly", [Action("wave", pace=0.75)]),
    ("turn left, then quickly wave", [Action("turn", direction="left"), Action("wave", pace=1.1)]),
    ("wave hello", [Action("wave")]),
    ("raise your left and right arms", [Action("raise", side="both")]),
    ("raise your arms to the side", [Action("raise", side="both", direction="side")]),
    ("reach up with both hands", [Action("reach", side="both", direction="up")]),
    ("point to the right with your left arm", [Action("point", side="left", direction="right")]),
    ("squat twice", [Action("squat", count=2)]),
    ("squat down 3 times", [Action("squat", direction="down", count=3)]),
    ("bow and clap five times", [Action("bow"), Action("clap", count=5)]),
    ("sit down and stand up", [Action("sit", direction="down")]),
    ("sit down, wait for 3 seconds, then stand up", [Action("sit", direction="down", seconds=3)]),
    ("kick the ball with your left foot", [Action("kick", side="left", thing="ball")]),
    ("punch three times", [Action("punch", count=3)]),
    ("push the door with both hands", [Action("push", side="both", thing="door")]),
    ("pick up the box", [Action("pick up", direction="up", thing="box")]),
    ("pick the box up with your right hand", [Action("pick up", direction="up", side="right", thing="box")]),
    ("walk around the box", [Action("walk", direction="around", thing="box")]),
    ("go around the obstacle on the right side", [Action("walk", side="right", direction="around", thing="box")]),
    (
        "walk to the table and put your right hand on it",
        [Action("walk", thing="table"), Action("touch", side="right", thing="table")],
    ),
    (
        "sit down on the chair, then stand up, and wave",
        [Action("sit", direction="down", thing="chair"), Action("wave")],
    ),
    ("sweep the floor for 5 seconds", [Action("sweep", seconds=5)]),
    (
        "reach down and pick up the bottle, then place it on the table",
        [Action("pick up", direction="up", thing="bottle"), Action("place", thing="bottle", at="table")],
    ),
    (
        "pick up the box with both hands and carry it to the table",
        [Action("pick up", direction="up", side="both", thing="box"), Action("carry", thing="box", at="table")],
    ),
    (
        "pick up the ball from the table, walk to the basket, put it into the basket",
        [
            Action("pick up", direction="up", thing="ball", at="table"),
            Action("walk", thing="basket"),
            Action("place", thing="ball", at="basket"),
        ],
    ),
    (
        "walk to the desk, kick the box, then pick it up and put it down on the floor",
        [
            Action("walk", thing="table"),
            Action("kick", thing="box"),
            Action("pick up", direction="up", thing="box"),
            Action("place", direction="down", thing="box", at="floor"),
        ],
    ),
    ("lay both hands on the box", [Action("touch", side="both", thing="box")]),
    ("walk forward, slowly", [Action("walk", direction="forward", pace=0.75)]),
    ("walk forward, two metres, quickly", [Action("walk", direction="forward", distance=2, pace=1.1)]),
    ("turn left, 45 degrees", [Action("turn", direction="left", angle=45)]),
    (
        "wave with your left hand, then with your right hand",
        [Action("wave", side="left"), Action("wave", side="right")],
    ),
    ("march in place", [Action("march")]),
    ("approach the desk, then get up", [Action("walk", thing="table"), Action("stand")]),
    ("walk back to the table", [Action("walk", thing="table")]),
    ("take a seat for 2 seconds", [Action("sit", seconds=2)]),
    ("take the cup from the table", [Action("pick up", direction="up", thing="cup", at="table")]),
    ("take a bow", [Action("bow")]),
    ("bend down and grab the bottle", [Action("pick up", thing="bottle")]),
    ("reach for the bottle on the table", [Action("reach", thing="bottle", at="table")]),
    ("face the chair, then look at the ball", [Action("turn", thing="chair"), Action("look", thing="ball")]),
    ("look around", [Action("look", direction="left"), Action("look", direction="right")]),
    ("hit the punching bag twice", [Action("punch", count=2, thing="bag")]),
    ("push the box 50 cm forward", [Action("push", direction="forward", distance=0.5, thing="box")]),
    ("move the chair", [Action("push", thing="chair")]),
    ("move the box onto the table", [Action("place", thing="box", at="table")]),
    (
        "pick up the ball and hold it for 3 seconds",
        [Action("pick up", direction="up", thing="ball"), Action("hold", thing="ball", seconds=3)],
    ),
    (
        "put the bottle on the table, then the cup",
        [Action("place", thing="bottle", at="table"), Action("place", thing="cup", at="table")],
    ),
    (
        "carry the box to the chair and put it there",
        [Action("carry", thing="box", at="chair"), Action("place", thing="box", at="chair")],
    ),
    ("walk in a circle around the box", [Action("walk", direction="around", angle=360, thing="box")]),
    ("avoid the obstacle", [Action("walk", direction="around", thing="box")]),
    ("put your hands up", [Action("raise", side="both", direction="up")]),
    ("sweep the floor with a broom", [Action("sweep")]),
    ("nod twice, then stand still for two seconds", [Action("nod", count=2), Action("stand", seconds=2)]),
]


@pytest.mark.parametrize(("text", "actions"), GOOD, ids=lambda v: v if isinstance(v, str) else "")
def test_understood(text, actions):
    assert parse(text).actions == tuple(actions)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "empty"),
        (" ... ", "empty"),
        ("and then", "no action"),
        ("do a somersault", "'somersault'"),
        ("dance with joy", "'dance', 'joy'"),
        ("walk to the kitchen", "'kitchen'"),
        ("don't walk", "don't"),
        ("wave while walking", "'while'"),
        ("the box", "no action"),
        ("wlak to the table", "'wlak' (did you mean 'walk'?): it"),
        ("walk foward", "(did you mean 'forward'?)"),
        ("step over the box", "'step' takes no thing ('box')"),
        ("push the chair to the table", "say how far"),
        ("push the box to the left", "cannot push 'left'"),
        ("put the box beside the table", "'beside'"),
        ("throwing nothing, punch three times", "'throwing', 'nothing'"),
        ("walk 2", "no unit"),
        ("walk 100 metres", "out of range"),
        ("walk 2.5 steps", "whole number"),
        ("wave your leg", "'leg'"),
        ("move your arms", "'arms'"),
        ("walk sideways", "left or right"),
        ("walk forward for 3 seconds", "no seconds"),
        ("turn", "direction or an angle"),
        ("turn upward", "'up'"),
        ("kick with both feet", "both feet"),
        ("walk left right", "contradict"),
        ("walk around", "needs a thing"),
        ("place on the table", "needs a thing"),
        ("touch", "needs a thing"),
        ("pick up the piano", "'piano'"),
        ("sweep the table", "'table'"),
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
