"""Whose motors they are while the motion switcher is silent."""

from types import SimpleNamespace

import numpy as np
import pytest

from exoactor_control.realtime import motor_ownership
from exoactor_control.realtime.motor_ownership import MotorOwnership
from exoactor_control.realtime.watchdog import create_memory
from exoactor_core.errors import RobotNotReady


class Switcher:
    """The robot's motion switcher: its own controller 'ai' has the motors until it releases them."""

    def __init__(self):
        self.mode, self.answers = "ai", True

    def check(self, timeout):
        return self.mode if self.answers else None

    def active(self, timeout):
        return self.mode

    def release(self, timeout):
        first, self.mode = self.mode, ""
        return first

    def give_back(self, name):
        self.mode = name or self.mode


@pytest.fixture
def switcher(monkeypatch):
    made = Switcher()
    monkeypatch.setattr(motor_ownership, "MotionSwitcherClient", lambda: made)
    return made


def owner(silence=1.0):
    link = SimpleNamespace(silence=silence, mode_machine=5, read=lambda: None)
    return MotorOwnership(link, np.ones(29), create_memory()[1])


def test_without_an_answer_the_motors_are_whose_they_were_last(switcher):
    motors = owner()
    assert motors.mode() == "ai"
    motors.take()
    switcher.answers = False
    assert motors.ours
    assert motors.mode() == ""
    motors.give_back()
    assert not motors.ours
    assert motors.mode() == "ai"


def test_motors_that_somebody_else_commands_are_given_back(switcher):
    motors = owner(silence=0.0)
    with pytest.raises(RobotNotReady, match="another controller"):
        motors.take()
    switcher.answers = False
    assert (motors.ours, motors.mode()) == (False, "ai")
