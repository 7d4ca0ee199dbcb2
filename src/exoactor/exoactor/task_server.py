"""The node ``task_server``: carries out a task by calling the stages' actions in turn (action execute_task)."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from exoactor_interfaces.action import EstimateMotion, ExecuteTask, GenerateVideo, RetargetMotion, TrackMotion
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger

from exoactor.options import TaskServerOptions
from exoactor.pipeline import Report
from exoactor.run_folder import RunFolder
from exoactor_core.errors import BadInput, Busy, Cancelled, ExoActorError, Missing, UnsafeMotion, error_of, user_error
from exoactor_core.motion import RobotMotion
from exoactor_core.stages import Generation
from exoactor_core.video import Video
from exoactor_ros import NAMESPACE
from exoactor_ros.action_client import TICK, Client, call
from exoactor_ros.conversions import (
    end_goal,
    error_code,
    human_from_message,
    image_from_message,
    jpeg_message,
    metrics_to_json,
    optional_human,
    plan_from_message,
    robot_from_message,
    video_from_message,
)
from exoactor_ros.heartbeat import PERIOD, Heartbeat, Watch
from exoactor_ros.lease import MOTION_LEASE, Leases
from exoactor_ros.parameters import Parameters
from exoactor_ros.qos import LATCHED
from exoactor_ros.spin import run
from exoactor_ros.stage_node import FEEDBACK_PERIOD, RESULT_KEPT

ERROR_BASE = 100
STOP_WAIT = 2.0
"""s for the controller to answer a stop. It damps the robot within milliseconds; to ask whose the motors are may take
a second."""
EXECUTE = {ExecuteTask.Goal.REHEARSE: "rehearse", ExecuteTask.Goal.SIM: "sim", ExecuteTask.Goal.ROBOT: "robot"}

STAGES: dict[str, tuple[str, str, type]] = {
    "generate": ("generator", "generate_video", GenerateVideo),
    "estimate": ("pose_estimator", "estimate_motion", EstimateMotion),
    "retarget": ("retargeter", "retarget_motion", RetargetMotion),
    "rehearse": ("rehearsal", "rehearse_motion", TrackMotion),
    "track": ("controller", "track_motion", TrackMotion),
}
"""Stage: the node that serves it, its action, the action's type."""


class TaskServer(Node):
    """Generate, estimate, retarget, rehearse, track; what needs approval waits for it in the controller.

    Notes
    -----
    ROS parameters: the folder of the runs and the time-outs count from the next task or wait on; what decides whether
    a real robot may move is fixed when the node starts.

    Service: ``~/stop`` cancels the task and has the controller damp the robot; it succeeds when the controller says so.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__("task_server", namespace=NAMESPACE, **node_options)
        self.parameters = Parameters(self)
        self.parameters.declare_options(TaskServerOptions())
        group = ReentrantCallbackGroup()
        self._busy = threading.Lock()
        self._task_ended = threading.Event()  # set by ~/stop: the task in work is to end
        self._leases = Leases(self)
        self._watch = Watch(self)
        self._preview = self.create_publisher(CompressedImage, "preview", LATCHED)
        self._heartbeat = Heartbeat(self)
        self._stage_clients = {
            stage: Client(self, kind, action, callback_group=group) for stage, (_, action, kind) in STAGES.items()
        }
        self._stop_client = self.create_client(Trigger, "stop", callback_group=group)
        self.create_service(Trigger, "~/stop", self._on_stop, callback_group=group)
        self._server = ActionServer(
            self,
            ExecuteTask,
            "execute_task",
            self._execute,
            callback_group=group,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            result_timeout=RESULT_KEPT,
        )
        self.get_logger().info("Ready: execute_task.")

    def preview(self, video: Video) -> None:
        """Show the image in the middle of the generated video on the topic preview."""
        middle = video.frame_count // 2
        image = next((frame for i, frame in enumerate(video.frames()) if i == middle), None)
        if image is not None:
            self._preview.publish(jpeg_message(image, self.get_clock().now().to_msg(), width=320))

    def finish(self) -> None:
        """End the task in work, while the node still communicates."""
        self._task_ended.set()
        if self._busy.acquire(timeout=2.0):
            self._busy.release()

    def destroy_node(self) -> None:
        """Leave the action, then go."""
        self._server.destroy()
        super().destroy_node()

    # --- services -----------------------------------------------------------------------------------------------

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._task_ended.set()
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
        response.message += " The task was cancelled." if self._busy.locked() else " No task was in work."
        return response

    # --- the task -----------------------------------------------------------------------------------------------

    def _execute(self, goal: Any) -> ExecuteTask.Result:
        task = _Task(self, goal)
        result = ExecuteTask.Result()
        report = task.report
        try:
            if not self._busy.acquire(blocking=False):
                raise Busy("The task server is busy with another task: wait for it or cancel it.")
            try:
                self._task_ended.clear()
                with self._leases.watch(goal, goal.request.lease) as task.sender_gone:
                    task.run()
            finally:
                self._busy.release()
            result.error_code = result.NONE
        except Exception as error:
            self._note_failure(error, report, result)
        if task.folder is not None:
            result.run_folder = str(task.folder.path)
            try:
                task.folder.save_report(vars(report))
            except Exception as error:
                if report.success:
                    report.success = False
                    self._note_failure(error, report, result)
                else:
                    self.get_logger().error(str(error))
        result.error_msg, result.failed_stage = report.reason, report.failed_stage
        result.metrics_json = metrics_to_json({**report.metrics, "seconds": report.seconds})
        if not self.context.ok():
            return result
        end_goal(goal, result)
        return result

    def _note_failure(self, error: Exception, report: Report, result: ExecuteTask.Result) -> None:
        """Write into report and result why the task failed, and log it."""
        known = user_error(error)
        result.error_code = error_code(ERROR_BASE, error)
        report.reason = str(known or f"Internal error ({type(error).__name__}: {error}); see the task server's log.")
        if not self.context.ok():
            return  # the process is ending; nobody hears
        if known:
            self.get_logger().warning(f"{report.failed_stage or 'task'}: {known}")
        else:
            self.get_logger().error("".join(traceback.format_exception(error)))


class _Task:
    """One task on its way through the stages."""

    def __init__(self, server: TaskServer, goal: Any) -> None:
        self._server, self._goal = server, goal
        self._last_feedback = ("", 0.0)
        self._execute = ""
        self.sender_gone: Callable[[], bool] = lambda: False
        self.report = Report(goal.request.instruction)
        self.folder: RunFolder | None = None

    def run(self) -> None:
        """Do all of it; raises `ExoActorError`, with the failed stage in the report."""
        request, report = self._goal.request, self.report
        server, execute = self._server, self._check(request)
        self._execute, report.failed_stage = execute, ""
        instruction = report.instruction
        self.folder = RunFolder.create(instruction, self._parameter("runs") or None)
        self.folder.save_task(
            {"instruction": instruction, "execute": execute, "require_approval": request.require_approval}
        )
        with self._stage("generate"):
            goal = GenerateVideo.Goal(
                instruction=instruction, scene_image=request.scene_image, plan_json=request.plan_json
            )
            made = self._call("generate", goal, self._keep_generation)
            video = video_from_message(made.video)
            self._feedback("generate", 1.0, "video made")
            server.preview(video)
        with self._stage("estimate"):
            seen = self._call("estimate", EstimateMotion.Goal(video=made.video))
            human = human_from_message(seen.motion)
            keypoints = _keypoints(seen.keypoints)
            self.folder.save_human(human, keypoints)
        with self._stage("retarget"):
            fitted = self._call("retarget", RetargetMotion.Goal(motion=seen.motion))
            self.folder.save_robot(robot_from_message(fitted.motion))
        with self._stage("rehearse"):
            goal = TrackMotion.Goal(motion=fitted.motion, human=seen.motion)
            rehearsed = self._call("rehearse", goal, self._keep_motion(self.folder.save_rehearsal))
            if rehearsed.correction:
                fitted.motion.correction = rehearsed.correction
                self.folder.save_robot(robot_from_message(fitted.motion))
            self._require_fit(execute)
        if execute != "rehearse":
            with self._stage("track"):
                goal = TrackMotion.Goal(
                    motion=fitted.motion,
                    human=seen.motion,
                    verdict=rehearsed.verdict,
                    require_approval=request.require_approval,
                )
                self._call("track", goal, self._keep_motion(self.folder.save_tracking))
        report.success = True

    def _check(self, request: ExecuteTask.Goal) -> str:
        """The wanted execution, after looking at what can be seen before anything is done."""
        plan = plan_from_message(request.plan_json)
        if not request.instruction.strip():
            self.report.instruction = str((plan or {}).get("instruction", ""))
            if not self.report.instruction.strip():
                raise BadInput("The instruction is empty: say what the G1 should do.")
        if request.execute not in EXECUTE:
            raise BadInput(f"execute is {request.execute}, but 0 (rehearse), 1 (sim) or 2 (robot) is needed.")
        execute, robot = EXECUTE[request.execute], self._parameter("robot")
        if {"sim": "sim", "robot": "real"}.get(execute, robot) != robot:
            wanted = "the simulation" if execute == "sim" else "the real robot"
            raise BadInput(
                f"The task is for {wanted}, but this graph was started with robot:={robot}: start the other."
            )
        image_from_message(request.scene_image)
        for stage, (node, _, _) in STAGES.items():  # better now than after the stages before it
            sign = self._server._watch.sign(node)
            if sign and sign.recent and not sign.ok and (stage != "track" or execute != "rehearse"):
                self.report.failed_stage = stage
                raise Missing(f"The node '{node}' cannot work: {sign.text}")
        while late := self._late(execute):
            if self._cancelled():
                raise Cancelled("The task was cancelled.")
            self._feedback(self.report.failed_stage, 0.0, f"no sign of life of '{late}' yet", period=1.0)
            time.sleep(TICK)
        return execute

    def _late(self, execute: str, after: str = "") -> str:
        """Name of a node of the stages after ``after`` whose sign of life is due; raises `Missing` where one is dead.

        A node of which nothing was ever heard may still come: it is waited for at its stage.
        """
        stages = list(STAGES)[list(STAGES).index(after) + 1 if after else 0 :]
        signs = {stage: self._server._watch.sign(STAGES[stage][0]) for stage in stages}
        if execute == "rehearse":
            signs.pop("track", None)
        late = ""
        for stage, sign in signs.items():
            node = STAGES[stage][0]
            if sign is not None and sign.silence > self._parameter("silence_timeout"):
                self.report.failed_stage = stage
                raise Missing(
                    f"The node '{node}' is dead or frozen, silent for {sign.silence:.0f} s: see its log, start it "
                    "again (with respawn:=true the launcher does) and send the task again."
                )
            if sign is not None and sign.silence > 2.0 * PERIOD:
                late, self.report.failed_stage = node, stage
        return late

    def _parameter(self, name: str) -> Any:
        return self._server.parameters[name]

    def _cancelled(self) -> bool:
        ended = self._server._task_ended.is_set() or not self._server.context.ok()
        return ended or self._goal.is_cancel_requested or self.sender_gone()

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Time a stage; on an error leave its name in the report."""
        start = time.perf_counter()
        self._late(self._execute, after=name)
        self.report.failed_stage = name
        self._feedback(name, 0.0, "starting")
        try:
            yield
        except ExoActorError:
            if self._cancelled():
                gone = " whoever sent it is gone or frozen" if self.sender_gone() else ""
                raise Cancelled(f"The task was cancelled{gone and ':'}{gone}.") from None
            raise
        finally:
            self.report.seconds[name] = round(time.perf_counter() - start, 3)
        self.report.failed_stage = ""

    def _keep_generation(self, made: GenerateVideo.Result) -> None:
        if made.video.data:
            self.folder.save_generation(_generation(made))

    @staticmethod
    def _keep_motion(save: Callable[[RobotMotion], None]) -> Callable[[TrackMotion.Result], None]:
        return lambda done: save(robot_from_message(done.motion)) if done.motion.num_frames else None

    def _call(self, stage: str, goal: Any, keep: Callable[[Any], None] = lambda result: None) -> Any:
        """Have a stage's server do its part and return its result; its figures go into the report.

        ``keep`` saves what the result holds, that of a failed stage too, for the user to look at.
        """
        node, _, _ = STAGES[stage]
        result = call(
            self._server._stage_clients[stage],
            goal,
            node=self._server,
            server=node,
            on_wait=lambda text: self._feedback(stage, 0.0, text),
            on_feedback=lambda feedback: self._pass_on(stage, feedback),
            cancelled=self._cancelled,
            watch=self._server._watch,
            absent_after=self._parameter("server_timeout"),
            dead_after=self._parameter("silence_timeout"),
            lease=MOTION_LEASE if isinstance(goal, TrackMotion.Goal) else 0.0,
        )
        with contextlib.suppress(ValueError):
            self.report.metrics[stage] = json.loads(result.metrics_json or "{}")
        code = result.error_code
        try:
            keep(result)
        except ExoActorError as error:
            if code == result.NONE:
                raise
            self._server.get_logger().error(str(error))
        if code != result.NONE:
            raise error_of(code, result.error_msg or f"The node '{node}' gave no reason (error {code}): see its log.")
        return result

    def _require_fit(self, execute: str) -> None:
        """What the rehearsal refuses does not go to the robot; in simulation it is a warning."""
        reasons = self.report.metrics.get("rehearse", {}).get("refused")
        if execute == "robot":
            if reasons is None:
                raise UnsafeMotion("The rehearsal does not say whether the motion is fit for the robot.")
            if reasons:
                raise UnsafeMotion(f"The rehearsal refuses the motion for the robot: {' '.join(reasons)}")
        for reason in reasons or []:
            self.report.warnings.append(reason)
            self._server.get_logger().warning(f"Not fit for the robot: {reason}")
            self._feedback("rehearse", 1.0, f"not fit for the robot: {reason}", period=0.0)

    def _pass_on(self, stage: str, feedback: Any) -> None:
        """A stage's feedback as the task's; a plan is kept at once, since what follows may fail."""
        plan_json = getattr(feedback, "plan_json", "")
        if plan_json:
            with contextlib.suppress(ExoActorError):  # the result brings it again
                self.folder.save_plan(plan_from_message(plan_json))
        if job_json := getattr(feedback, "job_json", ""):
            self.folder.save_job(json.loads(job_json))
        if stage == "track" and feedback.awaiting_approval:
            self.report.failed_stage = "approve"
            text = approval_text(self.report.metrics.get("rehearse", {}))
            self._feedback("approve", feedback.fraction, text, period=1.0)
            return
        self.report.failed_stage = stage
        self._feedback(stage, feedback.fraction, feedback.text, plan_json=plan_json)

    def _feedback(
        self,
        stage: str,
        fraction: float,
        text: str,
        period: float = FEEDBACK_PERIOD,
        plan_json: str = "",
    ) -> None:
        now = time.monotonic()
        last_stage, last_time = self._last_feedback
        if not plan_json and stage == last_stage and now - last_time < period:
            return
        self._last_feedback = (stage, now)
        self._goal.publish_feedback(
            ExecuteTask.Feedback(stage=stage, fraction=float(fraction), text=text, plan_json=plan_json)
        )


def approval_text(figures: dict[str, Any]) -> str:
    """What whoever approves must know: the figures of the rehearsal, as its metrics have them."""
    parts = [{True: "the G1 did it", False: "the G1 failed"}.get(figures.get("success"), "no word of success")]
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
    parts.append(f"refused for the robot: {' '.join(reasons)}" if reasons else "nothing refused")
    return f"waiting for the approve service; in the rehearsal {', '.join(parts)}"


def _generation(made: GenerateVideo.Result) -> Generation:
    return Generation(
        video_from_message(made.video),
        optional_human(made.truth),
        plan=plan_from_message(made.plan_json),
        others=tuple(video_from_message(video) for video in made.others),
        image=image_from_message(made.picture),
    )


def _keypoints(values: Any) -> np.ndarray | None:
    flat = np.asarray(values, np.float32)
    return flat.reshape(-1, 33, 3) if flat.size and flat.size % 99 == 0 else None


def main() -> None:
    """Entry point of the node."""
    run(TaskServer, threads=6)


if __name__ == "__main__":
    main()
