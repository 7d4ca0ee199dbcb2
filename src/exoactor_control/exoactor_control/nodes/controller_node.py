"""The node ``controller``: drives the G1, simulated or real, and serves track_motion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from exoactor_interfaces.action import TrackMotion
from exoactor_interfaces.msg import ObjectPoses
from nav_msgs.msg import Odometry
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.time import Time
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from exoactor_control.nodes.approval import Approval
from exoactor_control.nodes.robot_tracker import RobotTracker, pelvis_in
from exoactor_control.nodes.track_action import TRACK_ACTION, person_and_objects
from exoactor_control.options import ControllerOptions
from exoactor_control.policy.policy import load_policy
from exoactor_control.realtime.control_process import ControlProcess, Settings
from exoactor_control.rehearsal.verdict import Verdicts, take_key
from exoactor_core.arrays import poses_in_frame
from exoactor_core.dex3 import FINGER_JOINTS
from exoactor_core.errors import BadInput, ExoActorError, RobotNotReady
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import Soles
from exoactor_core.stages import Tracking
from exoactor_ros import frame_prefix
from exoactor_ros.conversions import joint_state_message, object_poses_from_message, odometry_message
from exoactor_ros.qos import BEST_EFFORT, STATE
from exoactor_ros.spin import run
from exoactor_ros.stage_node import StageNode
from exoactor_unitree.dex3 import hand_positions

MAX_OBSERVATION_AGE = 0.5
"""Maximum age of an observation, s."""
_STOPPED = "The robot was stopped: the motion that waited for approval is refused."


def _options(goal: TrackMotion.Goal) -> dict[str, Any]:
    return person_and_objects(goal) | {"verdict": goal.verdict, "require_approval": goal.require_approval}


class ControllerNode(StageNode):
    """Serves track_motion on the robot, and stop, damp, stand, zero_torque, open_hands and close_hands at any time.

    The services are std_srvs/Trigger; stop and damp succeed when a damping command has been sent, and say by whom. The
    robot is driven by a separate process (`exoactor_control.realtime.control_process`), guarded by another
    (`exoactor_control.realtime.watchdog`); it sends nothing before the first stand, damp or zero_torque, or a stop
    while nobody has the motors.

    A real robot accepts a motion only while it stands, with the rehearsal's verdict
    (`exoactor_control.rehearsal.verdict`), and after the operator's approval: by the service approve, or "go" on the
    remote. In simulation a motion makes the robot stand up, unless it was stopped.

    Subscribes to the topic objects (`ObjectPoses`, in the frame of a link, or of a simulation's world): the hands are
    corrected towards the objects, and the checks of a task are evaluated. Poses older than `MAX_OBSERVATION_AGE` are
    dropped.

    Publishes /joint_states and odometry at 50 Hz, and the joints of Dex3 hands, if any, at 10 Hz. On a robot the
    odometry's height comes from the legs, and its x and y stay 0; in simulation it is the truth, for display.

    ROS parameters: `ControllerOptions`; see `exoactor_control.controller.tracker.TrajectoryTracker` for the gains.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__(
            "controller",
            backend="robot",
            action_name="track_motion",
            **TRACK_ACTION | {"to_options": _options},
            **node_options,
        )
        self.parameters.declare_options(ControllerOptions())
        self._loop: ControlProcess | None = None
        self._tracker: RobotTracker | None = None
        self._key = take_key()
        self._approval = Approval()
        self._go_presses = 0
        self._health = (True, "")
        self._fault = ""
        self._joints = self.create_publisher(JointState, "/joint_states", STATE)
        self._odometry = self.create_publisher(Odometry, "odometry", STATE)
        self.create_subscription(ObjectPoses, "objects", self._on_objects, BEST_EFFORT, callback_group=self._group)
        # Created at the start, not on activation: stop is obeyed in every state of the lifecycle.
        for name in ("stop", "damp", "stand", "zero_torque", "open_hands", "close_hands"):
            self.create_service(Trigger, name, self._service(name), callback_group=self._group)
        self.create_service(Trigger, "approve", self._on_approve, callback_group=self._group)
        self.create_timer(0.02, self._publish)
        self.create_timer(0.1, self._publish_fingers)
        self.create_timer(0.05, self._report_health)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the control process: it loads the policy and looks for the robot, but sends nothing until asked to."""
        given = self.parameters.options(ControllerOptions)
        simulated = given.robot == "sim"
        timeout = given.state_timeout or (0.5 if simulated else 0.05)
        settings = Settings(**given.model_dump() | {"state_timeout": timeout, "robot_clock": simulated})
        must_pass = not simulated and given.require_rehearsal
        must_be_approved = not simulated and not given.approve_robot_automatically
        try:
            verdicts = Verdicts(self._key, load_policy(given.policy, given.policy_spec)) if must_pass else None
            self._loop = loop = ControlProcess(settings)
        except ExoActorError as error:
            self.get_logger().error(str(error))
            self.heartbeat.report(False, str(error))
            return TransitionCallbackReturn.FAILURE
        self._tracker = tracker = RobotTracker(loop, stands_up=simulated)

        def track(
            motion: RobotMotion, progress: Callable[..., None], verdict: str, require_approval: bool, **context: Any
        ) -> Tracking:
            if verdicts is not None:
                verdicts.check(verdict, motion, lifetime=given.verdict_lifetime, **context)
            if must_be_approved or require_approval:
                self._wait_for_approval(loop, tracker, given.approval_timeout, progress)
            return tracker(motion, progress, **context)

        self._backend = track
        self._health = (True, "configured")
        return LifecycleNode.on_configure(self, state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp the robot and give its motors back to its own controller."""
        done = super().on_deactivate(state)
        try:
            if self._loop is not None:
                self._loop.release()
        except ExoActorError as error:
            self.get_logger().error(str(error))
        return done

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp the robot and release it."""
        self._end_loop()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Damp the robot and release everything."""
        done = super().on_shutdown(state)
        self._end_loop()
        return done

    def destroy_node(self) -> None:
        """Damp the robot, then destroy the node."""
        self._end_loop()
        super().destroy_node()

    def _end_loop(self) -> None:
        if self._loop is not None:
            self._loop.close()
            self._loop = self._tracker = None

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
                    # The process that damps the motors is known; the effect of other requests shows in the state.
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

    def _wait_for_approval(
        self, loop: ControlProcess, tracker: RobotTracker, timeout: float, progress: Callable[..., None]
    ) -> None:
        tracker.wait_for_robot(progress)
        stops = loop.report().stop_count

        def check() -> None:
            tracker.check()
            if loop.report().stop_count != stops:  # by the remote
                raise RobotNotReady(_STOPPED)

        self._approval.wait(timeout, lambda *what: progress(*what, awaiting_approval=True), check)
        check()

    def _on_objects(self, message: ObjectPoses) -> None:
        """Update the observed poses of objects; unusable ones are dropped with a warning."""
        loop, tracker = self._loop, self._tracker
        report = loop.latest if loop is not None else None
        if tracker is None or report is None or report.state is None:
            return
        try:
            poses = object_poses_from_message(message)
            age = (self.get_clock().now() - Time.from_msg(message.header.stamp)).nanoseconds * 1e-9
            if abs(age) > MAX_OBSERVATION_AGE:
                raise BadInput(f"Their poses are {age:.1f} s old, more than {MAX_OBSERVATION_AGE:g} s.")
            frame = message.header.frame_id.removeprefix(frame_prefix(self))
            pelvis = pelvis_in(frame, report, simulated=self.parameters["robot"] == "sim")
        except BadInput as error:
            self.get_logger().warning(f"Objects are not observed: {error}", throttle_duration_sec=5.0)
            return
        seen = poses_in_frame(pelvis, np.array(list(poses.values())).reshape(-1, 7))
        tracker.observe(dict(zip(poses, seen, strict=True)))

    def _publish(self) -> None:
        loop = self._loop
        report = loop.latest if loop is not None else None
        if loop is None or report is None or report.state is None or loop.error or not self.context.ok():
            return
        if report.go_presses != self._go_presses:  # "go" on the remote starts a motion that waits for approval
            self._go_presses = report.go_presses
            if not self._approval.give():
                self.get_logger().warning("The remote approves, but no motion waits for it.")
        state, truth = report.state, report.truth
        stamp = self.get_clock().now().to_msg()
        self._joints.publish(joint_state_message(state.joint_pos, stamp, state.joint_vel))
        if truth is None:
            height = Soles().pelvis_height(state.quat_wxyz, state.joint_pos)
            truth = np.array([0.0, 0.0, height]), state.quat_wxyz
        self._odometry.publish(odometry_message(*truth, stamp, frame_prefix(self)))

    def _publish_fingers(self) -> None:
        """Publish the joints of Dex3 hands, if any."""
        report = self._loop.latest if self._loop is not None else None
        for joints, state in zip(FINGER_JOINTS, report.hands if report is not None else (), strict=False):
            if state is not None and self.context.ok():
                stamp = self.get_clock().now().to_msg()
                self._joints.publish(joint_state_message(hand_positions(state), stamp, names=joints))

    def _report_health(self) -> None:
        """Put the condition of robot and controller into the heartbeat, and faults into the log, when they change."""
        loop = self._loop
        if loop is None:
            return
        alarm, text, report = loop.alarm, loop.error, loop.latest
        fault = report.status.fault if report is not None else ""
        if fault and fault != self._fault:
            self.get_logger().error(f"The motors are damped: {fault}.")
        self._fault = fault
        if not text and report is not None:
            status = report.status
            text = f"{status.state} with {status.policy}" if report.driving else f"not driving, with {status.policy}"
            text += f": {reason}" if (reason := status.fault if report.driving else report.holder) else ""
        # A missing robot does not keep the node from accepting goals: they fail with the reason.
        health = (not alarm, alarm or text)
        if health != self._health:
            self._health = health
            self.heartbeat.report(*health)
            if alarm:
                self.get_logger().error(alarm)


def main() -> None:
    """Entry point of the node."""
    run(ControllerNode, threads=6)
