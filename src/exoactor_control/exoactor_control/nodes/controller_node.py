"""The node ``controller``: drives the G1, simulated or real, and serves track_motion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Interval
from exoactor_interfaces.action import TrackMotion
from nav_msgs.msg import Odometry
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from exoactor_control.controller.safety import MAX_POSITION_ERROR, MAX_SPEED_ERROR, Bound
from exoactor_control.controller.tracker import HEADING_GAIN, POSITION_GAIN, Gain
from exoactor_control.nodes.approval import Approval
from exoactor_control.nodes.robot_tracker import RobotTracker, kinematic_root
from exoactor_control.nodes.track_action import TRACK_ACTION, person
from exoactor_control.policy.policy import load_policy
from exoactor_control.policy.spec import SHIPPED
from exoactor_control.realtime.control_process import ControlProcess, Settings
from exoactor_control.rehearsal.verdict import Verdicts, take_key
from exoactor_core.errors import ExoActorError, RobotNotReady
from exoactor_core.motion import HumanMotion, RobotMotion
from exoactor_core.stages import Progress, Tracking
from exoactor_ros import frame_prefix
from exoactor_ros.conversions import joint_state_message, odometry_message
from exoactor_ros.qos import STATE
from exoactor_ros.spin import run
from exoactor_ros.stage_node import StageNode

PARAMETERS: dict[str, tuple[Any, str, Any]] = {
    "network_interface": ("lo", "Interface that Unitree's DDS speaks on; the robot's cable, e.g. eth0.", str),
    "dds_domain": (
        1, "DDS domain of Unitree's topics: 1 for the simulator, 0 for the real robot.",
        Annotated[int, Interval(ge=0, le=232)],
    ),
    "robot": ("sim", "What is driven.", Literal["sim", "real"]),
    "require_rehearsal": (
        True, "A real robot takes a motion only with the verdict of the node rehearsal that that very motion is fit.",
        bool,
    ),
    "verdict_lifetime": (
        1800.0, "s after the rehearsal in which a real robot takes the motion.",
        Annotated[float, Interval(ge=1.0, le=86400.0)],
    ),
    "approval_timeout": (
        600.0, "s that a motion waits for the service approve.", Annotated[float, Interval(ge=0.1, le=86400.0)],
    ),
    "approve_robot_automatically": (False, "Let the real robot move with nobody's approval.", bool),
    "policy": (SHIPPED, "exoactor: ours; a policy file; or pd: plain joint PD, for a robot on an elastic band.", str),
    "policy_spec": ("", "Layout of the policy's inputs; empty: found beside it or by its shapes.", str),
    "rate": (500.0, "Hz of LowCmd.", Annotated[float, Interval(ge=50.0, le=1000.0)]),
    "heading_gain": (HEADING_GAIN, "1/s, feedback of the heading error by the IMU.", Gain),
    "position_gain": (POSITION_GAIN, "1/s, feedback of the position error by the legs' odometry.", Gain),
    "max_position_error": (
        MAX_POSITION_ERROR, "m from where the reference is, by the legs' odometry, until damping.", Bound,
    ),
    "max_speed_error": (MAX_SPEED_ERROR, "m/s faster than the reference, likewise.", Bound),
    "state_timeout": (
        0.0, "s without LowState, or a step of the loop, until damping; 0: 0.05 on the robot, 0.5 in simulation.",
        Annotated[float, Interval(ge=0.0, le=5.0)],
    ),
}  # fmt: skip
"""ROS parameters of the node: default, description, type and range. A restart is needed to change `SAFETY`."""

SAFETY = ("robot", "require_rehearsal", "approve_robot_automatically")
"""Parameters that are decided when the node starts."""


_STOPPED = "The robot was stopped: the motion that waited for approval is refused."


def _options(goal: TrackMotion.Goal) -> dict[str, Any]:
    return person(goal) | {"verdict": goal.verdict, "require_approval": goal.require_approval}


class ControllerNode(StageNode):
    """Serves track_motion on the robot, and stop, damp, stand, zero_torque, open_hands and close_hands at any time.

    These are std_srvs/Trigger; stop and damp succeed when damping is on the wire, and say who sends it. What drives
    the robot is a process of its own (`exoactor_control.realtime.control_process`), guarded by another
    (`exoactor_control.realtime.watchdog`); it sends nothing before the first stand, damp or zero_torque, or a stop
    while nobody has the motors.

    A real robot takes a motion only while it stands, with the rehearsal's verdict
    (`exoactor_control.rehearsal.verdict`), and once the operator has approved it: by the service approve, or "go" on
    the remote. In simulation a motion makes the robot stand up, unless it was stopped.

    Publishes /joint_states and odometry at 50 Hz. On a robot the odometry's height comes from the legs and its x and
    y stay 0; in simulation it is the truth, for display.

    ROS parameters: `PARAMETERS`; see `exoactor_control.controller.tracker.Tracker` for the gains.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__(
            "controller",
            backend="robot",
            action_name="track_motion",
            **TRACK_ACTION | {"to_options": _options},
            **node_options,
        )
        for name, given in PARAMETERS.items():
            self.parameters.declare(name, *given, read_only=name in SAFETY)
        self._loop: ControlProcess | None = None
        self._key = take_key()
        self._approval = Approval()
        self._go = 0
        self._said = (True, "")
        self._joints = self.create_publisher(JointState, "/joint_states", STATE)
        self._odometry = self.create_publisher(Odometry, "odometry", STATE)
        # Made at the start, not on activation: stop is obeyed in every state of the lifecycle.
        for name in ("stop", "damp", "stand", "zero_torque", "open_hands", "close_hands"):
            self.create_service(Trigger, name, self._service(name), callback_group=self._group)
        self.create_service(Trigger, "approve", self._on_approve, callback_group=self._group)
        self.create_timer(0.02, self._publish)
        self.create_timer(0.05, self._tell)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the control process: it loads the policy and looks for the robot, but sends nothing until asked to."""
        value = {name: self.parameters[name] for name in PARAMETERS}
        simulated = value["robot"] == "sim"
        settings = Settings(
            network_interface=value["network_interface"],
            domain=value["dds_domain"],
            policy=value["policy"],
            policy_spec=value["policy_spec"],
            heading_gain=value["heading_gain"],
            position_gain=value["position_gain"],
            max_position_error=value["max_position_error"],
            max_speed_error=value["max_speed_error"],
            rate=value["rate"],
            state_timeout=value["state_timeout"] or (0.5 if simulated else 0.05),
            robot_clock=simulated,
        )
        must_pass = not simulated and value["require_rehearsal"]
        must_be_approved = not simulated and not value["approve_robot_automatically"]
        try:
            verdicts = Verdicts(self._key, load_policy(value["policy"], value["policy_spec"])) if must_pass else None
            self._loop = ControlProcess(settings)
        except ExoActorError as error:
            self.get_logger().error(str(error))
            self.heartbeat.say(False, str(error))
            return TransitionCallbackReturn.FAILURE
        tracker = RobotTracker(self._loop, stands_up=simulated)

        def track(
            motion: RobotMotion, progress: Progress, human: HumanMotion | None, verdict: str, require_approval: bool
        ) -> Tracking:
            if verdicts is not None:
                verdicts.check(verdict, motion, human, value["verdict_lifetime"])
            if must_be_approved or require_approval:
                self._wait_for_approval(tracker, value["approval_timeout"], progress)
            return tracker(motion, progress, human=human)

        self._backend = track
        self._said = (True, "configured")
        return LifecycleNode.on_configure(self, state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp the robot and give its motors back to its own controller."""
        done = super().on_deactivate(state)
        try:
            if self._loop is not None:
                self._loop.let_go()
        except ExoActorError as error:
            self.get_logger().error(str(error))
        return done

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp the robot and let go of it."""
        self._end_loop()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp the robot and let go of everything."""
        done = super().on_shutdown(state)
        self._end_loop()
        return done

    def destroy_node(self) -> None:
        """Damp the robot, then go."""
        self._end_loop()
        super().destroy_node()

    def _end_loop(self) -> None:
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _service(self, what: str) -> Callable[[Any, Any], Any]:
        def serve(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            loop = self._loop
            if what in ("stop", "damp"):
                self._approval.refuse(_STOPPED)
            try:
                if loop is None:
                    response.message = (
                        "The controller is not configured: nothing was sent. Configure it, or use the remote."
                    )
                else:
                    # Who damps the motors is known; what else is asked for shows in the state.
                    response.message = loop.ask(what) or loop.report().status.text
                    response.success = True
            except ExoActorError as error:
                response.message = str(error)
            return response

        return serve

    def _on_approve(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._approval.give()
        response.message = "Approved: the robot moves." if response.success else "No motion waits for approval."
        return response

    def _wait_for_approval(self, tracker: RobotTracker, timeout: float, progress: Progress) -> None:
        tracker.wait_for_robot(progress)
        stops = self._loop.report().stops

        def check() -> None:
            tracker.check()
            if self._loop.report().stops != stops:  # by the remote
                raise RobotNotReady(_STOPPED)

        self._approval.wait(timeout, lambda *what: progress(*what, awaiting_approval=True), check)
        check()

    def _publish(self) -> None:
        report = self._loop.latest if self._loop is not None else None
        if report is None or report.state is None or self._loop.trouble or not self.context.ok():
            return
        if report.go != self._go:  # "go" on the remote: what waits for approval goes on
            self._go = report.go
            if not self._approval.give():
                self.get_logger().warning("The remote approves, but no motion waits for it.")
        state, truth = report.state, report.truth
        stamp = self.get_clock().now().to_msg()
        self._joints.publish(joint_state_message(state.joint_pos, stamp, state.joint_vel))
        if truth is None:
            pose = RobotMotion(50.0, np.zeros((1, 3)), state.quat_wxyz[None], state.joint_pos[None])
            truth = kinematic_root(pose)[0], state.quat_wxyz
        self._odometry.publish(odometry_message(*truth, stamp, frame_prefix(self)))

    def _tell(self) -> None:
        """Put the robot's and the controller's condition into the heartbeat, when it changes."""
        loop = self._loop
        if loop is None:
            return
        alarm, text, report = loop.alarm, loop.trouble, loop.latest
        if not text:
            status = report.status
            text = f"{status.state} with {status.policy}" if report.driving else f"not driving, with {status.policy}"
            text += f": {reason}" if (reason := status.fault if report.driving else report.holder) else ""
        # A robot that is not there yet does not keep the node from taking goals: they fail with the reason.
        said = (not alarm, alarm or text)
        if said != self._said:
            self._said = said
            self.heartbeat.say(*said)
            if alarm:
                self.get_logger().error(alarm)


def main() -> None:
    """Entry point of the node."""
    run(ControllerNode, threads=6)


if __name__ == "__main__":
    main()
