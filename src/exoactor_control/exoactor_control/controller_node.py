"""The node ``controller``: drives the G1, simulated or real, and serves track_motion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from exoactor_interfaces.action import TrackMotion
from nav_msgs.msg import Odometry
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from exoactor.errors import ExoActorError
from exoactor.motion import RobotMotion
from exoactor.ros.convert import joint_state_message, odometry_message, robot_from_message, robot_to_message
from exoactor.ros.qos import STATE
from exoactor.ros.spin import run
from exoactor.ros.stage_node import StageNode
from exoactor.stages import Tracking
from exoactor_control.control_loop import ControlLoop
from exoactor_control.link import RobotLink
from exoactor_control.policy import Policy
from exoactor_control.robot_tracker import RobotTracker, kinematic_root
from exoactor_control.states import Controller

PARAMETERS = {
    "network_interface": "lo",
    "dds_domain": 1,
    "robot": "sim",
    "policy": "",
    "description": "",
    "rate": 500.0,
    "heading_gain": 1.0,
    "state_timeout": 0.0,
}
"""ROS parameters of the node and their defaults; `ControllerNode` says what they mean."""


def fill(result: TrackMotion.Result, tracking: Tracking) -> None:
    """The stage's output into the result."""
    result.motion = robot_to_message(tracking.motion)


class ControllerNode(StageNode):
    """Serves track_motion on the robot, and stop, damp, stand and zero_torque (std_srvs/Trigger) at any time.

    Publishes /joint_states and odometry at 50 Hz. On a robot the odometry's height comes from the legs and its x and
    y stay 0; in simulation it is the truth, for display.

    ROS parameters: ``network_interface``, ``dds_domain``, ``robot`` ("sim" or "real"), ``policy`` (.onnx; empty: plain
    joint PD, for a robot on an elastic band), ``description`` (of the policy; empty: by its shapes), ``rate`` (Hz),
    ``heading_gain`` (1/s), ``state_timeout`` (s without LowState until damping; 0: 0.05 on the robot, 0.5 in
    simulation).
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__(
            "controller",
            stage="track",
            backend="robot",
            action_type=TrackMotion,
            action_name="track_motion",
            error_base=500,
            to_input=lambda goal: robot_from_message(goal.motion),
            fill=fill,
            **node_options,
        )
        for name, value in PARAMETERS.items():
            self.declare_parameter(name, value)
        self._loop: ControlLoop | None = None
        self._link: RobotLink | None = None
        self._said = (True, "")
        self._joints = self.create_publisher(JointState, "/joint_states", STATE)
        self._odometry = self.create_publisher(Odometry, "odometry", STATE)
        # Made at the start, not on activation: stop is obeyed in every state of the lifecycle.
        for name, ask in {
            "stop": Controller.stop,
            "damp": Controller.damp,
            "stand": Controller.stand,
            "zero_torque": Controller.zero_torque,
        }.items():
            self.create_service(Trigger, name, self._service(ask), callback_group=self._group)
        self.create_timer(0.02, self._publish)
        self.create_timer(0.5, self._tell)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the policy, join DDS and begin to drive the robot (motors free until it is told to stand)."""
        value = {name: self.get_parameter(name).value for name in PARAMETERS}
        simulated = value["robot"] == "sim"
        try:
            policy = Policy.load(value["policy"], value["description"] or None) if value["policy"] else None
            controller = Controller(policy, value["heading_gain"])
            if self._link is None:
                self._link = RobotLink(value["network_interface"], value["dds_domain"])
            timeout = value["state_timeout"] or (0.5 if simulated else 0.05)
            self._loop = ControlLoop(self._link, controller, value["rate"], timeout, robot_clock=simulated)
        except ExoActorError as error:
            self.get_logger().error(str(error))
            self.heartbeat.say(False, str(error))
            return TransitionCallbackReturn.FAILURE
        self._loop.start()
        self._backend = RobotTracker(self._loop)
        if policy is None:
            self.get_logger().warning(
                "No policy: plain joint PD balances nothing, the G1 must hang on the elastic band."
            )
        self._said = (True, "configured")
        return LifecycleNode.on_configure(self, state)

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
        if self._link is not None:
            self._link.close()
            self._link = None
        super().destroy_node()

    def _end_loop(self) -> None:
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _service(self, ask: Callable[[Controller], None]) -> Callable[[Any, Any], Any]:
        def serve(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            loop = self._loop
            try:
                if loop is None:
                    response.message = "The controller is not configured: it drives nothing."
                else:
                    ask(loop.controller)
                    response.success, response.message = True, loop.controller.status.text
            except ExoActorError as error:
                response.message = str(error)
            return response

        return serve

    def _publish(self) -> None:
        state = self._link.read() if self._link is not None and self._link.age < 1.0 else None
        if state is None or not self.context.ok():
            return
        stamp = self.get_clock().now().to_msg()
        self._joints.publish(joint_state_message(state.joint_pos, stamp, state.joint_vel))
        truth = self._link.truth()
        if truth is None:
            pose = RobotMotion(50.0, np.zeros((1, 3)), state.quat_wxyz[None], state.joint_pos[None])
            truth = kinematic_root(pose)[0], state.quat_wxyz
        self._odometry.publish(odometry_message(*truth, stamp))

    def _tell(self) -> None:
        """Put the robot's and the controller's condition into the heartbeat, when it changes."""
        if self._loop is None:
            return
        status = self._loop.controller.status
        # a robot that is not there yet does not keep the node from taking goals: they are told so
        said = (
            True,
            self._loop.trouble or f"{status.state} with {status.policy}" + f": {status.fault}" * bool(status.fault),
        )
        if said != self._said:
            self._said = said
            self.heartbeat.say(*said)


def main() -> None:
    """Entry point of the node."""
    run(ControllerNode, threads=6)


if __name__ == "__main__":
    main()
