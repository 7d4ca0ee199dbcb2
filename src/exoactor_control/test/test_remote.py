import numpy as np
import pytest

from dex3_facts import HAND_LIMITS
from exoactor_control.reference.human_keypoints import hand_openness
from exoactor_core.dex3 import hand_targets
from exoactor_unitree.joystick import ACTIONS, Button, Remote, pressed

hands = pytest.importorskip("exoactor_unitree.dex3")


def remote_bytes(low, high):
    """Bytes 2 and 3 hold the buttons; the rest are sticks and others."""
    data = bytearray(range(40))
    data[2:4] = low, high
    return bytes(data)


@pytest.mark.parametrize(
    ("low", "high", "buttons"),
    [
        (0, 0, 0),
        (0b0000_1000, 0, Button.SELECT),
        (0b0000_0100, 0, Button.START),
        (0b0010_0000, 0b0000_0010, Button.L2 | Button.B),
        (0, 0b0000_0001, Button.A),
        (0b0000_0001, 0b1000_0000, Button.R1 | Button.LEFT),
    ],
)
def test_buttons_are_where_unitree_puts_them(low, high, buttons):
    assert pressed(remote_bytes(low, high)) == buttons
    assert pressed(b"") == 0


def said(*held):
    remote = Remote()
    return [remote.requests(int(buttons)) for buttons in held]


def test_stand_and_go_once_when_they_go_down():
    assert said(0, Button.START, Button.START, 0, Button.START) == [[], ["stand"], [], [], ["stand"]]
    assert said(0, Button.A, Button.A | Button.X, Button.X) == [[], ["go"], [], []]


def test_stop_and_damp_as_long_as_they_are_held_and_before_all_else():
    assert said(Button.SELECT, Button.SELECT) == [["stop"], ["stop"]]
    assert said(0, ACTIONS["damp"], ACTIONS["damp"] | Button.START) == [[], ["damp"], ["damp"]]
    assert said(0, Button.SELECT | Button.A) == [[], ["stop"]]


def test_what_is_down_at_first_and_unitrees_own_chords_ask_for_nothing():
    assert said(Button.START | Button.A, Button.START) == [[], []]
    assert said(0, Button.L2, Button.L2 | Button.A, Button.A) == [[], [], [], []]
    assert said(0, Button.R1 | Button.START) == [[], []]
    assert said(0, Button.B) == [[]] * 2


def test_hands_stay_inside_their_ranges_and_mirror_each_other():
    for openness in (0.0, 0.3, 1.0, -5.0, 9.0, np.nan):
        targets = hand_targets(np.full(2, openness))
        assert (targets >= HAND_LIMITS[..., 0]).all()
        assert (targets <= HAND_LIMITS[..., 1]).all()
        assert targets[0] == pytest.approx(-targets[1])
    assert not hand_targets([1.0, 1.0]).any()
    assert np.abs(hand_targets([0.0, 0.0])[:, 1:]).min() > 0.7


def test_hand_command_is_of_unitrees_form():
    message = hands.hand_command(np.linspace(-0.3, 0.3, 7))
    assert [m.mode for m in message.motor_cmd] == [0x90 + i for i in range(7)]
    assert message.motor_cmd[6].q == pytest.approx(0.3)


def test_openness_of_a_persons_hands():
    pose = np.zeros((2, 2, 15, 3))
    pose[1, 0, :12] = 0.0, 0.0, -1.4
    pose[0, 1, :12] = 0.7, 0.0, 0.0
    assert hand_openness(pose.reshape(2, 90)) == pytest.approx(np.array([[1.0, 0.5], [0.0, 1.0]]))
