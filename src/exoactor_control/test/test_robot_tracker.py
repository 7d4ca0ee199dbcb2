"""What the tracker of the robot makes of what a control loop saw."""

from types import SimpleNamespace

import pytest
from control_helpers import standing_state

from exoactor_control.controller.state_machine import State, Status
from exoactor_control.nodes.robot_tracker import RobotTracker
from exoactor_control.realtime.control_loop import Sample
from exoactor_core.robot import standing_motion


class Loop:
    """One whose robot stands all along, and has done a motion as soon as it is told."""

    trouble, lateness_ms = "", (0.1, 0.2)

    def __init__(self, saturated=()):
        self.samples = [Sample(i, standing_state(0.02 * i), None, i in saturated) for i in range(60)]

    def report(self):
        status = Status(State.STAND, "", 1.0, done=True, fault="", policy="exoactor")
        return SimpleNamespace(status=status, driving=True, state=standing_state(0.0), band=False, inference_ms=0.3)

    def renew(self):
        pass

    def track(self, reference):
        return ["It was shifted."]


def test_the_report_tells_what_was_done_to_the_motion_and_what_the_loop_saw():
    floating = standing_motion(1.0)
    floating.root_pos[:, 2] += 0.05
    done = RobotTracker(Loop(saturated=range(10)))(floating)
    assert len(done.motion) == len(floating)
    assert done.metrics["success"]
    assert "onto the floor" in done.metrics["notes"][0]
    assert done.metrics["notes"][1:] == ["It was shifted."]
    assert done.metrics["torque_saturation"] == pytest.approx(10 / len(floating))
    assert done.metrics["position_source"] == "legs' odometry"
    assert (done.metrics["policy"], done.metrics["late_ms_p99"]) == ("exoactor", 0.2)
