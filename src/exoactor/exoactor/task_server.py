"""The node ``task_server``: carries out a task by calling the stages' actions in turn (action execute_task)."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import numpy as np
from exoactor_interfaces.action import EstimateMotion, ExecuteTask, GenerateVideo, RetargetMotion, TrackMotion
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger

from exoactor.options import TaskServerOptions
from exoactor.pipeline import IN_METRICS, Execute, MotionContext, Pipeline, Report, Task, instruction_of
from exoactor.run_folder import RunFolder
from exoactor_core.errors import BadInput, Cancelled, ExoActorError, Missing, Refused, error_of
from exoactor_core.files import json_object
from exoactor_core.interaction import Interaction
from exoactor_core.motion import EXECUTION_FIELDS, HumanMotion, RobotMotion
from exoactor_core.stages import (
    Estimate,
    GenerateRequest,
    Generation,
    Metrics,
    OnJob,
    OnPlan,
    Progress,
    Retargeting,
    Tracking,
)
from exoactor_core.video import Video
from exoactor_ros import NAMESPACE
from exoactor_ros import conversions as convert
from exoactor_ros.action_client import TICK, Client, call_action
from exoactor_ros.heartbeat import PERIOD, Heartbeat, HeartbeatMonitor
from exoactor_ros.lease import MOTION_LEASE, TASK_LEASE
from exoactor_ros.parameters import Parameters
from exoactor_ros.qos import LATCHED
from exoactor_ros.simple_action_server import SimpleActionServer
from exoactor_ros.spin import run
from exoactor_ros.stage_node import FEEDBACK_PERIOD

ERROR_BASE = 100
STOP_WAIT = 2.0
"""s for the controller to answer a stop. Damping takes milliseconds; asking who owns the motors may take a second."""
EXECUTE: dict[int, Execute] = {getattr(ExecuteTask.Goal, name.upper()): name for name in get_args(Execute)}

STAGES: dict[str, tuple[str, str, type]] = {
    "generate": ("generator", "generate_video", GenerateVideo),
    "estimate": ("pose_estimator", "estimate_motion", EstimateMotion),
    "retarget": ("retargeter", "retarget_motion", RetargetMotion),
    "rehearse": ("rehearsal", "rehearse_motion", TrackMotion),
    "track": ("controller", "track_motion", TrackMotion),
}
"""Stage: the node that serves it, its action, the action's type."""
_LEASES = {"rehearse": TASK_LEASE, "track": MOTION_LEASE}
"""s that a stage's work continues without the task server; the rehearsal moves nothing, and takes all the cores."""


class TaskServer(Node):
    """Runs the stages' actions in order; a motion that needs approval waits for it in the controller.

    ROS parameters: the runs folder and the time-outs take effect from the next task or wait on; those that decide
    whether a real robot may move are fixed at start. The service ``~/stop`` cancels the task and makes the controller
    damp the robot; it succeeds when the controller confirms it.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__("task_server", namespace=NAMESPACE, **node_options)
        self.parameters = Parameters(self)
        self.parameters.declare_options(TaskServerOptions())
        group = ReentrantCallbackGroup()
        self.heartbeats = HeartbeatMonitor(self)
        self._preview = self.create_publisher(CompressedImage, "preview", LATCHED)
        self._heartbeat = Heartbeat(self)
        self.stage_clients = {
            stage: Client(self, kind, action, callback_group=group) for stage, (_, action, kind) in STAGES.items()
        }
        self._stop_client = self.create_client(Trigger, "stop", callback_group=group)
        self.create_service(Trigger, "~/stop", self._on_stop, callback_group=group)
        self.action = SimpleActionServer(
            self, ExecuteTask, "execute_task", ERROR_BASE, self._execute, lambda goal: goal.lease
        )
        self.action.open()
        self.get_logger().info("Ready: execute_task.")

    def preview(self, video: Video) -> None:
        """Publish the middle frame of the generated video on the topic preview."""
        middle = video.frame_count // 2
        image = next((frame for i, frame in enumerate(video.frames()) if i == middle), None)
        if image is not None:
            self._preview.publish(convert.jpeg_message(image, self.get_clock().now().to_msg(), width=320))

    def finish(self) -> None:
        """End the current task, while the node can still communicate."""
        self.action.end_goal()

    def destroy_node(self) -> None:
        """Close the action server, then destroy the node."""
        self.action.close()
        super().destroy_node()

    # --- services -----------------------------------------------------------------------------------------------

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.action.ending.set()
        done = threading.Event()
        future = self._stop_client.call_async(Trigger.Request())
        future.add_done_callback(lambda _: done.set())
        if done.wait(STOP_WAIT):
            stopped = future.result()
            response.success, response.message = stopped.success, stopped.message
        else:
            future.cancel()
            response.message = (
                f"The controller does not answer within {STOP_WAIT:g} s: whether the robot was damped is not known. "
                "Use its remote (L2 + B)."
            )
        response.message += " The task was cancelled." if self.action.busy else " No task was in work."
        return response

    # --- the task -----------------------------------------------------------------------------------------------

    def _execute(self, goal: Any, result: ExecuteTask.Result, lease_expired: Callable[[], bool]) -> None:
        self.action.ending.clear()
        task = _Task(self, goal, lease_expired)
        report = task.report
        try:
            task.run()
        finally:
            if task.folder is not None:
                result.run_folder = str(task.folder.path)
            result.failed_stage = report.failed_stage
            more = {name: getattr(report, name) for name in IN_METRICS}
            result.metrics_json = convert.metrics_to_json(report.metrics | more)
            for warning in report.warnings if self.context.ok() else ():
                self.get_logger().warning(warning)


class _Task:
    """One task, with the pipeline's stages behind their actions."""

    def __init__(self, server: TaskServer, goal: Any, lease_expired: Callable[[], bool]) -> None:
        self._server, self._goal, self._lease_expired = server, goal, lease_expired
        self._last_feedback = ("", 0.0)
        self._execute: Execute = "rehearse"
        self.report = Report(goal.request.instruction)
        self.folder: RunFolder | None = None

    def run(self) -> None:
        """Run the pipeline; raises `ExoActorError`, with the failed stage in the report."""
        task = self._check(self._goal.request)
        self.report.failed_stage = ""
        self.folder = RunFolder.create(self.report.instruction, self._parameter("runs") or None)
        Pipeline(self, self.folder, lambda stage: partial(self._feedback, stage), self.report).run(task)

    # --- the stages ---------------------------------------------------------------------------------------------

    def generate(self, request: GenerateRequest, progress: Progress, on_plan: OnPlan, on_job: OnJob) -> Generation:
        """As `exoactor.pipeline.Stages`; publishes the plan as feedback, and a frame of the video as preview."""

        def on_feedback(feedback: GenerateVideo.Feedback) -> None:
            if feedback.job_json:
                on_job(json.loads(feedback.job_json))
            if feedback.plan_json:
                with contextlib.suppress(ExoActorError):  # the result contains it again
                    on_plan(json_object(feedback.plan_json, "The plan"))
            self._feedback("generate", feedback.fraction, feedback.text, plan_json=feedback.plan_json)

        goal = GenerateVideo.Goal(
            instruction=request.instruction,
            scene_image=convert.image_to_message(request.scene_image),
            plan_json=convert.plan_to_message(request.plan),
            scene=convert.scene_to_message(request.scene),
            attempt=request.attempt,
        )
        generation: Generation = self._call("generate", goal, progress, _generation, on_feedback)
        progress(1.0, "video made")
        self._server.preview(generation.video)
        return generation

    def estimate(self, video: Video, progress: Progress) -> Estimate:
        """As `exoactor.pipeline.Stages`."""

        def output(result: EstimateMotion.Result, metrics: Metrics) -> Estimate:
            keypoints = np.asarray(result.keypoints, np.float32)
            shown = keypoints.reshape(-1, 33, 3) if keypoints.size and keypoints.size % 99 == 0 else None
            return Estimate(convert.human_from_message(result.motion), shown, metrics)

        return self._call("estimate", EstimateMotion.Goal(video=convert.video_to_message(video)), progress, output)

    def retarget(self, motion: HumanMotion, progress: Progress, interaction: Interaction | None) -> Retargeting:
        """As `exoactor.pipeline.Stages`."""

        def output(result: RetargetMotion.Result, metrics: Metrics) -> Retargeting:
            return Retargeting(convert.robot_from_message(result.motion), metrics)

        goal = RetargetMotion.Goal(motion=convert.human_to_message(motion))
        convert.set_interaction(goal, interaction)
        return self._call("retarget", goal, progress, output)

    def rehearse(self, motion: RobotMotion, progress: Progress, context: MotionContext) -> Tracking:
        """As `exoactor.pipeline.Stages`."""
        return self._call("rehearse", _track_goal(motion, context), progress, partial(_tracking, motion, context))

    def track(self, motion: RobotMotion, progress: Progress, context: MotionContext) -> Tracking:
        """As `exoactor.pipeline.Stages`; the request for approval shows the figures of the rehearsal."""

        def on_feedback(feedback: TrackMotion.Feedback) -> None:
            self.report.failed_stage = "approve" if feedback.awaiting_approval else "track"
            if feedback.awaiting_approval:
                text = approval_text(self.report.metrics.get("rehearse", {}))
                self._feedback("approve", feedback.fraction, text, period=1.0)
            else:
                progress(feedback.fraction, feedback.text)

        goal = _track_goal(motion, context)
        goal.require_approval = self._goal.request.require_approval
        return self._call("track", goal, progress, partial(_tracking, motion, context), on_feedback)

    def _call(
        self,
        stage: str,
        goal: Any,
        progress: Progress,
        to_output: Callable[[Any, Metrics], Any],
        on_feedback: Callable[[Any], None] | None = None,
    ) -> Any:
        """Call a stage's action; the rejected result of a failed stage goes with the error, for inspection."""
        node, _, _ = STAGES[stage]
        try:
            self._late(self._execute, after=stage)
            self.report.failed_stage = stage
            result = call_action(
                self._server.stage_clients[stage],
                goal,
                node=self._server,
                server=node,
                on_wait=lambda text: progress(0.0, text),
                on_feedback=on_feedback or (lambda feedback: progress(feedback.fraction, feedback.text)),
                cancelled=self._cancelled,
                heartbeats=self._server.heartbeats,
                server_timeout=self._parameter("server_timeout"),
                silence_timeout=self._parameter("silence_timeout"),
                lease=_LEASES.get(stage, 0.0),
            )
            metrics: Metrics = {}
            with contextlib.suppress(ValueError):
                metrics = json.loads(result.metrics_json or "{}")
            if result.error_code == result.NONE:
                return to_output(result, metrics)
            reason = result.error_msg or f"The node '{node}' gave no reason (error {result.error_code}): see its log."
            error = error_of(result.error_code, reason)
            if isinstance(error, Refused):
                with contextlib.suppress(ExoActorError):  # there may be none
                    error.output = to_output(result, metrics)
            raise error
        except ExoActorError:
            if self._cancelled():
                gone = ": whoever sent it is gone or frozen" if self._lease_expired() else ""
                raise Cancelled(f"The task was cancelled{gone}.") from None
            raise

    # --- checks and feedback ------------------------------------------------------------------------------------

    def _check(self, request: ExecuteTask.Goal) -> Task:
        """Build the task from the request, after all checks that are possible before work begins."""
        plan = convert.plan_from_message(request.plan_json)
        self.report.instruction = instruction_of(request.instruction, plan)
        if request.execute not in EXECUTE:
            raise BadInput(f"execute is {request.execute}, but 0 (rehearse), 1 (sim) or 2 (robot) is needed.")
        self._execute = execute = EXECUTE[request.execute]
        robot = self._parameter("robot")
        if {"sim": "sim", "robot": "real"}.get(execute, robot) != robot:
            wanted = "the simulation" if execute == "sim" else "the real robot"
            raise BadInput(
                f"The task is for {wanted}, but this graph was started with robot:={robot}: start the other."
            )
        image = convert.image_from_message(request.scene_image)
        for stage, (node, _, _) in STAGES.items():  # report it now rather than after the preceding stages
            sign = self._server.heartbeats.status(node)
            if sign and sign.recent and not sign.ok and (stage != "track" or execute != "rehearse"):
                self.report.failed_stage = stage
                raise Missing(f"The node '{node}' cannot work: {sign.text}")
        while late := self._late(execute):
            if self._cancelled():
                raise Cancelled("The task was cancelled.")
            self._feedback(self.report.failed_stage, 0.0, f"waiting for the node '{late}'", period=1.0)
            time.sleep(TICK)
        asked = GenerateRequest(self.report.instruction, image, plan, scene=convert.scene_from_message(request.scene))
        return Task(asked, execute, self._parameter("tries"), request.require_approval)

    def _late(self, execute: str, after: str = "") -> str:
        """Name of a node of the stages after ``after`` with a late heartbeat; raises `Missing` if one is dead.

        A node that has never sent a heartbeat may still start: its stage waits for it.
        """
        stages = list(STAGES)[list(STAGES).index(after) + 1 if after else 0 :]
        signs = {stage: self._server.heartbeats.status(STAGES[stage][0]) for stage in stages}
        if execute == "rehearse":
            signs.pop("track", None)
        late = ""
        for stage, sign in signs.items():
            node = STAGES[stage][0]
            if sign is not None and sign.silence > self._parameter("silence_timeout"):
                self.report.failed_stage = stage
                raise Missing(
                    f"The node '{node}' is dead or frozen, silent for {sign.silence:.0f} s: see its log, start it "
                    "or the whole graph again, and send the task again."
                )
            if sign is not None and sign.silence > 2.0 * PERIOD:
                late, self.report.failed_stage = node, stage
        return late

    def _parameter(self, name: str) -> Any:
        return self._server.parameters[name]

    def _cancelled(self) -> bool:
        ended = self._server.action.ending.is_set() or not self._server.context.ok()
        return ended or self._goal.is_cancel_requested or self._lease_expired()

    def _feedback(
        self, stage: str, fraction: float, text: str, period: float = FEEDBACK_PERIOD, plan_json: str = ""
    ) -> None:
        now = time.monotonic()
        last_stage, last_time = self._last_feedback
        if not plan_json and fraction < 1.0 and stage == last_stage and now - last_time < period:
            return
        self._last_feedback = (stage, now)
        self._goal.publish_feedback(
            ExecuteTask.Feedback(stage=stage, fraction=float(fraction), text=text, plan_json=plan_json)
        )


def approval_text(figures: dict[str, Any]) -> str:
    """Summary of the rehearsal's metrics for the operator who approves."""
    success = figures.get("success")
    parts = ["no word of success" if success is None else "the G1 did it" if success else "the G1 failed"]
    for name, text in (
        ("joint_error_mean", "joint error {:.3f} rad"),
        ("final_position_error", "ends {:.2f} m off"),
        ("farthest", "gets {:.1f} m from its start"),
    ):
        if isinstance(figures.get(name), int | float):
            parts.append(text.format(figures[name]))
    if figures.get("area"):
        parts.append(f"allowed are {figures['area']:g} m")
    reasons = figures.get("refused")
    if figures.get("risk"):
        parts.append(f"a risk: {figures['risk']}")
    parts.append(f"refused for the robot: {' '.join(reasons)}" if reasons else "nothing refused")
    return f"waiting for approval (exoactor call approve, or A on the remote); in the rehearsal {', '.join(parts)}"


def _generation(made: GenerateVideo.Result, metrics: Metrics) -> Generation:
    return Generation(
        convert.video_from_message(made.video),
        convert.optional_human(made.truth),
        metrics,
        convert.plan_from_message(made.plan_json),
        tuple(convert.video_from_message(video) for video in made.others),
        convert.image_from_message(made.image),
        convert.interaction_from_message(made),
    )


def _track_goal(motion: RobotMotion, context: MotionContext) -> TrackMotion.Goal:
    goal = TrackMotion.Goal(
        motion=convert.robot_to_message(motion), human=convert.human_to_message(context.human), verdict=context.verdict
    )
    convert.set_interaction(goal, context.interaction)
    return goal


def _tracking(given: RobotMotion, context: MotionContext, done: TrackMotion.Result, metrics: Metrics) -> Tracking:
    corrected, execution = None, convert.execution_from_message(done)
    if done.correction or execution != EXECUTION_FIELDS:
        message = convert.robot_to_message(given)
        message.correction = done.correction
        corrected = replace(given, correction=convert.robot_from_message(message).correction, **execution)
    scene = None if context.interaction is None else context.interaction.scene
    return Tracking(
        convert.robot_from_message(done.motion),
        metrics,
        corrected,
        done.verdict,
        object_poses=convert.object_motion_from_message(done, scene),
    )


def main() -> None:
    """Entry point of the node."""
    run(TaskServer, threads=6)
