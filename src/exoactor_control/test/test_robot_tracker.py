"""What the tracker of the robot makes of what a control loop saw."""

from types import SimpleNamespace

import numpy as np
import pytest
from control_helpers import standing_state

from exoactor_control.controller.state_machine import State, Status
from exoactor_control.nodes.robot_tracker import RobotTracker, pelvis_in
from exoactor_control.realtime.report import Sample
from exoactor_core.errors import BadInput
from exoactor_core.interaction import Interaction
from exoactor_core.robot import STANDING_HEIGHT, standing_motion
from exoactor_core.scene import everyday, joined
from exoactor_core.task_checks import Check


class Loop:
    """One whose robot stands all along, and has done a motion as soon as it is told."""

    error, lateness_ms, reach_notes = "", (0.1, 0.2), ["The cup was not observed."]

    def __init__(self, saturated=()):
        self.samples = [Sample(i, standing_state(0.02 * i), None, i in saturated, np.zeros(2)) for i in range(60)]

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
    assert done.metrics["notes"][1:] == ["It was shifted.", "The cup was not observed."]
    assert done.metrics["torque_saturation"] == pytest.approx(10 / len(floating))
    assert done.metrics["position_source"] == "legs' odometry"
    assert (done.metrics["policy"], done.metrics["late_ms_p99"]) == ("exoactor", 0.2)


CUP = Interaction(
    joined([everyday("table", pos=(0.5, 0.0, 0.0)), everyday("cup", pos=(0.4, 0.0, 0.74))]),
    checks=(
        Check(kind="lifted", object="cup"),
        Check(kind="on", object="cup", target="table"),
        Check(kind="touched", object="cup"),
    ),
)


class LoopWithObjects(Loop):
    """The robot stands at (2, 1) and faces +y; its camera sees the cup raised by ``rise`` m and put down again."""

    def __init__(self, rise, until=np.inf):
        super().__init__()
        self.tracker, self.rise, self.until, self.time = RobotTracker(self), rise, until, 0.0

    def report(self):
        self.time += 0.1
        cup = np.array([0.4, 0.0, 0.74 - STANDING_HEIGHT + (self.rise if 1.0 < self.time < 2.0 else 0.0), 1, 0, 0, 0])
        if self.time < self.until:
            self.tracker.observe({"cup": cup, "stranger": cup})
        report = super().report()
        report.state = standing_state(self.time, tick=round(1e3 * self.time))
        report.truth, report.pelvis = None, np.array([2.0, 1.0, STANDING_HEIGHT, np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)])
        return report

    def observe(self, poses):
        assert set(poses) == {"cup", "stranger"}


def test_checks_are_evaluated_by_where_the_objects_were_observed():
    def metrics(**cup):
        return LoopWithObjects(**cup).tracker(standing_motion(1.0), interaction=CUP).metrics

    done = metrics(rise=0.1)
    lifted, on, touched = done["checks"]
    assert (lifted["passed"], on["passed"], touched["passed"]) == (True, True, None)
    assert lifted["figure"] == pytest.approx(0.1)
    assert "forces on objects are not measured" in touched["sentence"]
    assert done["task_success"] is None
    done = metrics(rise=0.01)
    assert [check["passed"] for check in done["checks"]] == [False, True, None]
    assert done["task_success"] is False
    done = metrics(rise=0.1, until=1.5)
    assert [check["passed"] for check in done["checks"]] == [None] * 3
    assert "The cup was not observed to the end" in done["checks"][0]["sentence"]


def test_objects_are_where_they_were_observed_in_the_frames_of_what_the_robot_did():
    loop = LoopWithObjects(rise=0.1)
    loop.samples = [Sample(i, standing_state(0.0, tick=100 * (i + 1)), None, False, np.zeros(2)) for i in range(30)]
    done = loop.tracker(standing_motion(1.0), interaction=CUP)
    assert done.object_poses.shape == (len(done.motion), 2, 7)
    table, cup = done.object_poses[..., :3].swapaxes(0, 1)
    ahead = done.motion.root_pos[0] * [1, 1, 0] + [0.4, 0.0, 0.74]
    assert cup[[0, -1]] == pytest.approx(np.tile(ahead, (2, 1)), abs=1e-6)  # the robot faces +x in its own motion
    raised = np.flatnonzero(cup[:, 2] > 0.8)
    assert loop.samples[raised[0]].state.tick == pytest.approx(1100, abs=100)
    assert table == pytest.approx(np.tile([0.5, 0.0, 0.0], (len(table), 1)))


def test_the_pelvis_is_known_in_the_frames_of_links_and_in_a_simulations_world():
    state = standing_state(0.0)
    on_robot = SimpleNamespace(state=state, truth=None)
    assert np.round(pelvis_in("pelvis", on_robot, False), 6).tolist() == [0, 0, 0, 1, 0, 0, 0]
    camera = pelvis_in("d435_link", on_robot, False)
    assert np.linalg.norm(camera[:3]) == pytest.approx(0.48, abs=0.05)  # from hip to head
    for frame, said in (("world", "d435_link"), ("camera", "camera")):
        with pytest.raises(BadInput, match=said):
            pelvis_in(frame, on_robot, False)
    with pytest.raises(BadInput, match="too little of the machine's time"):
        pelvis_in("world", on_robot, True)
    truth = (np.array([1.0, 2.0, 0.8]), np.array([1.0, 0, 0, 0]))
    assert pelvis_in("world", SimpleNamespace(state=state, truth=truth), True).tolist() == [1, 2, 0.8, 1, 0, 0, 0]
