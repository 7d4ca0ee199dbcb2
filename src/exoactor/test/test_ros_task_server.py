import errno
import json
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("exoactor_interfaces.action")

from action_msgs.msg import GoalStatus
from exoactor_interfaces.action import EstimateMotion, ExecuteTask, GenerateVideo, RetargetMotion, TrackMotion
from rclpy.action import ActionServer
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger
from unique_identifier_msgs.msg import UUID

from exoactor import client
from exoactor.pipeline import InProcessStages, Pipeline, Report, Task
from exoactor.run_folder import RunFolder
from exoactor.task_server import STAGES, TaskServer, approval_text
from exoactor_control.nodes.track_action import TRACK_ACTION
from exoactor_core.contacts import Contact
from exoactor_core.errors import BadInput, ExoActorError, Missing, Refused, error_of
from exoactor_core.interaction import Interaction
from exoactor_core.motion import CORRECTION_WIDTH, HumanMotion, RobotMotion
from exoactor_core.options import Configurable
from exoactor_core.scene import everyday, joined
from exoactor_core.stages import Estimate, GenerateRequest, Generation, Retargeting, Tracking, no_progress
from exoactor_core.task_checks import Check, Rollout
from exoactor_core.video import Video
from exoactor_ros import stage_node
from exoactor_ros.conversions import (
    error_code,
    human_from_message,
    human_to_message,
    image_to_message,
    interaction_from_message,
    optional_human,
    plan_to_message,
    robot_to_message,
    set_interaction,
    video_from_message,
    video_to_message,
)
from exoactor_ros.qos import LATCHED
from exoactor_ros.stage_node import StageNode
from ros_testing import Caller, finished, spinning, until

pytestmark = pytest.mark.ros
T = 5
HUMAN = HumanMotion(30, np.zeros((T, 3)), np.zeros((T, 3)), np.zeros((T, 63)), np.zeros(10))
ROBOT = RobotMotion(50, np.zeros((T, 3)), np.tile([1.0, 0, 0, 0], (T, 1)), np.zeros((T, 29)))
VIDEO = Video.from_frames([np.full((32, 32, 3), 90, np.uint8)] * T, 30)
IMAGE = np.full((8, 8, 3), (200, 0, 9), np.uint8)
FAR = "It gets 4.0 m away from its start, more than 3 m."
SCENE = joined([everyday("cup", pos=(0.4, 0.0, 0.0))])
TOUCH = Contact(body="left_hand", object="cup", kind="touch", start=0.0, end=0.1)
INTERACTION = Interaction(SCENE, (TOUCH,), (Check(kind="touched", object="cup"),))
asked = ""
leases = {}


def slowly(progress):
    for i in range(400):
        progress(i / 400, "working")
        time.sleep(0.02)


def assert_sent(interaction, what):
    """The interaction of the generator, with its contacts or checks, where it made one."""
    with_objects = interaction is not None and len(interaction.scene) > 0
    assert with_objects == (asked == "touch the cup")
    if with_objects:
        assert interaction.scene.ids == ("cup",)
        assert getattr(interaction, what) == getattr(INTERACTION, what)


class Generate(Configurable):
    def __call__(self, goal, progress):
        global asked
        asked = goal.instruction
        if asked == "unknown":
            raise BadInput("The task 'unknown' is not known.")
        if asked == "slow":
            slowly(progress)
        if asked == "two cuts":
            made = Generation(VIDEO, metrics={"judge_score": 0.3}, others=(VIDEO,), image=IMAGE)
            raise Refused("It is cut.", made)
        plan = {"instruction": "plan it", "actions": []} if asked == "plan it" else None
        made = Generation(VIDEO, HUMAN, {"frames": T}, json.loads(goal.plan_json) if goal.plan_json else plan)
        return replace(made, interaction=INTERACTION) if asked == "touch the cup" else made


class EstimateFake(Configurable):
    def __call__(self, video, progress):
        return Estimate(HUMAN, np.ones((T, 33, 3)), {"error": 0.1})


class Retarget(Configurable):
    def __call__(self, motion, progress, interaction=None):
        assert_sent(interaction, "contacts")
        return Retargeting(ROBOT, {"error": 0.2})


class Track(Configurable):
    def __call__(self, motion, progress, human, interaction=None, verdict=None, require_approval=False):
        assert len(human) == T  # the person goes with the robot's motion
        assert_sent(interaction, "checks")
        if verdict is not None:  # it is the controller
            assert verdict == "signed"
        seen = {}
        if interaction is not None:
            poses = np.tile(interaction.scene.poses, (T, 1, 1))
            seen = {"rollout": Rollout(interaction.scene, 50.0, poses, np.zeros((T, 7))), "object_poses": poses}
        for _ in range(20 * require_approval):
            progress(0.5, "waiting for the approve service", awaiting_approval=True)
            time.sleep(0.02)
        if require_approval and asked == "nobody":
            raise Refused("Nobody approved the motion within 0.4 s.")
        if asked == "slow tracking":
            slowly(progress)
        fell = asked == "fall"
        if asked == "needs a correction" and motion.correction is None:
            corrected = replace(motion, correction=np.full((T, CORRECTION_WIDTH), 0.5))
            return Tracking(motion, {"success": True, "refused": []}, corrected, "signed")
        refused = {"far": {"refused": [FAR]}, "no gate": {}}.get(asked, {"refused": []})
        report = {"success": not fell, "reason": "it fell" if fell else "", **refused}
        return Tracking(motion, report, verdict="signed", **seen)


CONVERSIONS = {
    "generate": (
        lambda g: g,
        lambda r, o: (
            setattr(r, "video", video_to_message(o.video)),
            setattr(r, "plan_json", plan_to_message(o.plan)),
            setattr(r, "others", [video_to_message(v) for v in o.others]),
            setattr(r, "image", image_to_message(o.image)),
            setattr(r, "truth", human_to_message(o.truth)),
            set_interaction(r, o.interaction),
        ),
    ),
    "estimate": (lambda g: video_from_message(g.video), lambda r, o: setattr(r, "motion", human_to_message(o.motion))),
    "retarget": (lambda g: human_from_message(g.motion), lambda r, o: setattr(r, "motion", robot_to_message(o.motion))),
    "rehearse": (TRACK_ACTION["to_input"], TRACK_ACTION["fill"]),
    "track": (TRACK_ACTION["to_input"], TRACK_ACTION["fill"]),
}
BASES = {GenerateVideo: 200, EstimateMotion: 300, RetargetMotion: 400, TrackMotion: 500}
BACKENDS = {
    "generate": Generate,
    "estimate": EstimateFake,
    "retarget": Retarget,
    "rehearse": Track,
    "track": Track,
}


def goal_options(name, goal):
    objects = {"interaction": interaction_from_message(goal)}
    if name == "retarget":
        return objects
    leases[name] = goal.lease
    both = {"human": optional_human(goal.human)} | objects
    return both if name == "rehearse" else both | {"verdict": goal.verdict, "require_approval": goal.require_approval}


def stage(name):
    node, action, kind = STAGES[name]
    to_input, fill = CONVERSIONS[name]
    return lambda **options: StageNode(
        node,
        stage=name,
        backend="fake",
        action_type=kind,
        action_name=action,
        error_base=BASES[kind],
        to_input=to_input,
        fill=fill,
        **options,
        **({"to_options": lambda goal: goal_options(name, goal)} if kind in (RetargetMotion, TrackMotion) else {}),
    )


@pytest.fixture
def graph(monkeypatch, tmp_path):
    monkeypatch.setattr(stage_node, "backend_class", lambda stage, name: BACKENDS[stage])

    def build(stages=tuple(STAGES), **parameters):
        values = {"runs": str(tmp_path), "server_timeout": 1.0, **parameters}
        overrides = [Parameter(k, value=v) for k, v in values.items()]
        return spinning(
            lambda **o: TaskServer(parameter_overrides=overrides, **o), *(stage(s) for s in stages), threads=30
        )

    return build


def task(text, **fields):
    return ExecuteTask.Goal(instruction=text, **fields)


def trigger(node, name):
    service = node.create_client(Trigger, name)
    assert service.wait_for_service(10)
    return finished(service.call_async(Trigger.Request()))


def files(folder):
    return {name for name in os.listdir(folder) if not name.startswith(".")}


def test_whole_task_and_failures(graph):
    with graph() as nodes:
        previews = []
        nodes[-1].create_subscription(CompressedImage, "preview", previews.append, LATCHED)
        caller = Caller(nodes[-1], ExecuteTask, "execute_task")
        result = caller.result(task("wave"))
        assert (result.error_code, result.error_msg, result.failed_stage) == (0, "", "")
        assert files(result.run_folder) == {
            "task.json",
            "video.mp4",
            "ground_truth.npz",
            "human_motion.npz",
            "robot_motion.npz",
            "rehearsal.npz",
            "report.json",
        }
        metrics = json.loads(result.metrics_json)
        assert metrics["generate"] == {"frames": T}
        assert metrics["retarget"] == {"error": 0.2}
        assert set(metrics["seconds"]) == {"generate", "estimate", "retarget", "rehearse"}
        stages = list(dict.fromkeys(f.stage for f in caller.feedback))
        assert stages == ["generate", "estimate", "retarget", "rehearse"]
        assert (
            until(lambda: previews)[0].format == "jpeg"
        )  # on a topic: it would flood `ros2 action send_goal --feedback`
        assert not {"preview"} & set(ExecuteTask.Feedback.get_fields_and_field_types())

        result = caller.result(task("simulate", execute=ExecuteTask.Goal.SIM))
        assert result.error_code == 0
        assert "tracking.npz" in files(result.run_folder)

        result = caller.result(task("needs a correction", execute=ExecuteTask.Goal.SIM))
        assert result.error_code == 0
        assert RobotMotion.load(Path(result.run_folder, "robot_motion.npz")).correction == pytest.approx(0.5)
        assert RobotMotion.load(Path(result.run_folder, "tracking.npz")).correction == pytest.approx(0.5), "was tracked"

        result = caller.result(task("plan it"))
        plan = json.loads((Path(result.run_folder) / "plan.json").read_text())
        assert plan == {"instruction": "plan it", "actions": []}
        plan["actions"] = ["edited"]
        result = caller.result(task("", plan_json=json.dumps(plan)))  # sent again
        assert (result.error_code, asked) == (0, "plan it")
        assert json.loads((Path(result.run_folder) / "plan.json").read_text()) == plan
        assert json.loads((Path(result.run_folder) / "task.json").read_text())["instruction"] == "plan it"
        result = caller.result(task("wave", plan_json="walk"))
        assert (result.error_code, result.run_folder) == (102, "")
        assert "The plan is not valid JSON" in result.error_msg

        result = caller.result(task("  "))
        assert (result.error_code, result.run_folder) == (102, "")
        assert "empty" in result.error_msg
        result = caller.result(task("unknown"))
        assert (result.error_code, result.failed_stage) == (102, "generate")
        assert result.error_msg == "The task 'unknown' is not known."
        assert json.loads(Path(result.run_folder, "report.json").read_text())["failed_stage"] == "generate"
        result = caller.result(task("two cuts"))  # the judge refused it: the videos are there to look at
        assert (result.error_code, result.failed_stage) == (104, "generate")
        assert result.error_msg == "It is cut."
        assert {"video.mp4", "other_video_1.mp4", "image.png"} <= files(result.run_folder)
        assert json.loads(result.metrics_json)["generate"] == {"judge_score": 0.3}
        result = caller.result(task("fall", execute=ExecuteTask.Goal.SIM))
        assert (result.error_code, result.failed_stage) == (ExecuteTask.Result.TRACKING_FAILED, "rehearse")
        assert "it fell" in result.error_msg
        assert "rehearsal.npz" in files(result.run_folder)
        assert "tracking.npz" not in files(result.run_folder)
        result = caller.result(task("wave", execute=ExecuteTask.Goal.ROBOT))
        assert result.error_code == 102
        assert "robot:=sim" in result.error_msg


def in_process(stage):
    backend = BACKENDS[stage]()
    if stage != "generate":
        return backend
    return lambda request, progress, on_plan, on_job: backend(
        GenerateVideo.Goal(instruction=request.instruction), progress
    )


@pytest.mark.parametrize(
    "text", ["wave", "plan it", "needs a correction", "far", "unknown", "two cuts", "fall", "touch the cup"]
)
def test_a_task_leaves_the_same_in_process_and_through_actions(graph, tmp_path, text):
    with graph() as nodes:
        result = Caller(nodes[-1], ExecuteTask, "execute_task").result(task(text))
    folder = RunFolder.create(text, tmp_path)
    with suppress(ExoActorError):
        pipeline = Pipeline(InProcessStages(in_process), folder, lambda stage: no_progress, Report(text))
        pipeline.run(Task(GenerateRequest(text)))
    assert files(folder.path) - {"keypoints.npz"} == files(result.run_folder)  # no message here carries keypoints
    reports = [json.loads(Path(path, "report.json").read_text()) for path in (folder.path, result.run_folder)]
    for report in reports:
        report["seconds"] = list(report["seconds"])
    assert reports[0] == reports[1]
    assert (text == "touch the cup") == ("objects.npz" in files(result.run_folder))
    for name in ("task.json", "robot_motion.npz", "objects.npz"):
        local, remote = Path(folder.path, name), Path(result.run_folder, name)
        assert local.exists() == remote.exists()
        assert not local.exists() or local.read_bytes() == remote.read_bytes()


def test_cancel_stop_and_busy(graph):
    with graph() as nodes:
        tester = nodes[-1]
        caller = Caller(tester, ExecuteTask, "execute_task")
        handle = caller.send(task("slow"))
        until(lambda: any(f.text == "working" for f in caller.feedback))
        busy = caller.result(task("wave"))
        assert "busy" in busy.error_msg
        assert busy.error_code == ExecuteTask.Result.BUSY
        finished(handle.cancel_goal_async())
        result = finished(handle.get_result_async()).result
        assert (result.error_code, result.failed_stage) == (105, "generate")

        handle = caller.send(task("slow tracking"))
        until(lambda: any(f.stage == "rehearse" and f.text == "working" for f in caller.feedback))
        damping = []
        tester.create_service(Trigger, "stop", lambda _, response: damping.append(1) or stopped(response, True))
        answer = trigger(tester, "task_server/stop")
        assert answer.success
        assert damping
        assert answer.message == "Damped. The task was cancelled."
        result = finished(handle.get_result_async()).result
        assert (result.error_code, result.failed_stage) == (105, "rehearse")
        assert caller.result(task("wave")).error_code == 0


def stopped(response, success):
    response.success, response.message = success, "Damped." if success else "Nothing was sent."
    return response


@pytest.mark.faults
def test_stop_succeeds_only_where_the_controller_says_that_it_damped(graph):
    with graph(stages=()) as nodes:
        tester = nodes[-1]
        answer = trigger(tester, "task_server/stop")  # there is no controller
        assert not answer.success
        assert "does not answer" in answer.message
        assert answer.message.endswith("No task was in work.")
        tester.create_service(Trigger, "stop", lambda _, response: stopped(response, False))
        assert until(lambda: "Nothing was sent" in (answer := trigger(tester, "task_server/stop")).message and answer)
        assert not trigger(tester, "task_server/stop").success


def test_the_controller_gets_the_verdict_and_waits_for_approval(graph):
    with graph() as nodes:
        caller = Caller(nodes[-1], ExecuteTask, "execute_task")
        result = caller.result(task("wave", execute=ExecuteTask.Goal.SIM, require_approval=True))
        assert result.error_code == 0
        stages = list(dict.fromkeys(f.stage for f in caller.feedback))
        assert stages == ["generate", "estimate", "retarget", "rehearse", "track", "approve"]
        assert any("in the rehearsal the G1 did it" in f.text for f in caller.feedback if f.stage == "approve")
        assert "tracking.npz" in files(result.run_folder)
        assert leases == {"rehearse": 5.0, "track": pytest.approx(0.7)}  # a rehearsal moves nothing
        result = caller.result(task("nobody", execute=ExecuteTask.Goal.SIM, require_approval=True))
        assert (result.error_code, result.failed_stage) == (104, "approve")


def test_whoever_approves_hears_the_rehearsals_figures():
    figures = {
        "success": True,
        "joint_error_mean": 0.0512,
        "final_position_error": 0.071,
        "farthest": 1.24,
        "area": 3.0,
    }
    assert approval_text({**figures, "refused": []}) == (
        "waiting for approval (exoactor call approve, or A on the remote); in the rehearsal the G1 did it, "
        "joint error 0.051 rad, ends 0.07 m off, gets 1.2 m from its start, allowed are 3 m, nothing refused"
    )
    assert approval_text({**figures, "refused": [FAR]}).endswith(f"refused for the robot: {FAR}")
    assert "no word of success" in approval_text({})
    assert "a risk: 1 of 5 failed, refused" in approval_text({"risk": "1 of 5 failed", "refused": [FAR]})


@pytest.mark.faults
def test_a_leased_task_ends_with_its_sender(graph):
    with graph() as nodes:
        caller = Caller(nodes[-1], ExecuteTask, "execute_task")
        ended = caller.result(task("slow", lease=0.5))  # nobody renews it
        assert (ended.error_code, ended.failed_stage) == (105, "generate")
        assert "sent it is gone or frozen" in ended.error_msg
        goal, renewed = UUID(uuid=list(range(16))), caller.client
        asked_at = time.monotonic()
        future = renewed.send_goal_async(task("slow", lease=0.5), goal_uuid=goal)
        until(lambda: renewed.renew(goal) or time.monotonic() - asked_at > 3.5)
        outcome = finished(future).get_result_async()
        assert not outcome.done()
        assert finished(outcome).result.error_code == 105


@pytest.mark.faults
def test_a_dead_node_is_noticed_before_the_task_starts(graph):
    with graph(silence_timeout=4.0) as nodes:  # the others, too, may be late on a busy machine
        server, retargeter, tester = nodes[0], nodes[3], nodes[-1]
        until(lambda: all(server.heartbeats.status(name) for name, _, _ in STAGES.values()))
        retargeter.destroy_node()
        caller = Caller(tester, ExecuteTask, "execute_task")
        time.sleep(2.2)
        result = caller.result(task("wave"))
        assert (result.error_code, result.failed_stage, result.run_folder) == (103, "retarget", "")
        assert "'retargeter' is dead or frozen" in result.error_msg
        assert not any(f.stage == "generate" for f in caller.feedback)


def test_what_the_rehearsal_refuses_does_not_go_to_the_robot(graph):
    with graph(robot="real") as nodes:
        caller = Caller(nodes[-1], ExecuteTask, "execute_task")
        for text, reason in (("far", f"refuses the motion for the robot: {FAR}"), ("no gate", "does not say")):
            result = caller.result(task(text, execute=ExecuteTask.Goal.ROBOT))
            assert (result.error_code, result.failed_stage) == (ExecuteTask.Result.UNSAFE_MOTION, "rehearse")
            assert reason in result.error_msg
            assert "tracking.npz" not in files(result.run_folder)
        result = caller.result(task("wave", execute=ExecuteTask.Goal.ROBOT))
        assert result.error_code == 0
        assert "tracking.npz" in files(result.run_folder)
    with graph() as nodes:
        caller = Caller(nodes[-1], ExecuteTask, "execute_task")
        result = caller.result(task("far", execute=ExecuteTask.Goal.SIM))
        assert result.error_code == 0
        assert "tracking.npz" in files(result.run_folder)
        assert json.loads(Path(result.run_folder, "report.json").read_text())["warnings"] == [FAR]
        assert any(FAR in f.text for f in caller.feedback)


def test_a_stage_that_is_not_there(graph):
    with graph(stages=("generate", "estimate")) as nodes:
        caller = Caller(nodes[-1], ExecuteTask, "execute_task")
        result = caller.result(task("wave"))
        assert (result.error_code, result.failed_stage) == (103, "retarget")
        assert "'retargeter' is not there" in result.error_msg
        assert {"video.mp4", "human_motion.npz"} <= files(result.run_folder)


def test_a_stage_that_cannot_work_says_why(graph, monkeypatch):
    class Broken(Configurable):
        def __init__(self):
            raise Missing("The policy file is not there.")

    monkeypatch.setitem(BACKENDS, "rehearse", Broken)
    with graph() as nodes:
        result = Caller(nodes[-1], ExecuteTask, "execute_task").result(task("wave"))
        assert (result.error_code, result.failed_stage) == (103, "rehearse")
        assert result.error_msg == "The node 'rehearsal' cannot work: The policy file is not there."


def test_client(graph):
    seen = []
    with graph():
        result = client.send_task("wave", on_feedback=lambda *f: seen.append(f))
        assert result.success
        assert (result.exit_code, result.instruction, result.metrics["generate"]) == (0, "wave", {"frames": T})
        assert seen[0][0] == "generate"
        failed = client.send_task("fall")
        assert (failed.success, failed.exit_code, failed.failed_stage) == (False, Refused.exit_code, "rehearse")
    waits: list[str] = []
    with pytest.raises(Missing, match="task_server"):
        client.send_task("wave", wait=2.5, on_wait=waits.append)
    assert waits[0] == "waiting for 'task_server'"


def test_services_are_called_without_tools_of_ros(monkeypatch):
    def serve(success, message):
        return lambda _, response: Trigger.Response(success=success, message=message)

    with spinning() as (node,):
        node.create_service(Trigger, "damp", serve(True, "The control process damps the motors."))
        node.create_service(Trigger, "/simulator/reset", serve(True, "The robot stands at the origin."))
        node.create_service(Trigger, "/robot2/simulator/reset", serve(False, "The simulation does not answer."))
        node.create_service(Trigger, "approve", serve(False, "No motion waits for approval."))
        assert client.call_service("damp") == "The control process damps the motors."
        assert client.call_service("simulator/reset") == "The robot stands at the origin."
        with pytest.raises(Refused, match="The simulation does not answer"):
            client.call_service("simulator/reset", "robot2")
        with pytest.raises(Refused, match="No motion waits"):
            client.call_service("approve")
        monkeypatch.setattr(client, "SERVICE_WAIT", 0.5)
        with pytest.raises(Missing, match="'stop' is not there: nothing was sent"):
            client.call_service("stop")
    with pytest.raises(BadInput, match="There is no service 'halt': there are stop, damp"):
        client.call_service("halt")


def test_a_full_disk_in_the_middle_of_a_task_is_an_error(graph, tmp_path, monkeypatch):
    def full(self, *args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with graph() as nodes:
        caller = Caller(nodes[-1], ExecuteTask, "execute_task")
        for method, stage in (("save_robot", "retarget"), ("save_report", "")):
            with monkeypatch.context() as patch:
                patch.setattr(RunFolder, method, full)
                answer = finished(caller.send(task("wave")).get_result_async())
            assert answer.status == GoalStatus.STATUS_ABORTED
            assert (answer.result.error_code, answer.result.failed_stage) == (102, stage)
            assert answer.result.error_msg == "No space left on device."


def test_status_and_error_code_agree(graph):
    with graph() as nodes:
        caller = Caller(nodes[-1], TrackMotion, "track_motion")
        motion = TrackMotion.Goal(motion=robot_to_message(ROBOT), human=human_to_message(HUMAN), verdict="signed")
        Caller(nodes[-1], ExecuteTask, "execute_task").result(task("fall"))  # from now on it falls
        answer = finished(caller.send(motion).get_result_async())
        failed = TrackMotion.Result.TRACKING_FAILED
        assert (answer.status, answer.result.error_code) == (GoalStatus.STATUS_ABORTED, failed)
        assert answer.result.error_msg == "The G1 did not do it: it fell."
        assert answer.result.motion.num_frames == T  # to be looked at


def test_a_stage_that_was_stopped_cancels_the_task():
    assert error_code(100, error_of(GenerateVideo.Result.CANCELLED, "The generator was stopped.")) == 105


@pytest.mark.parametrize("kind", [ExecuteTask, *BASES])
def test_a_result_that_nobody_filled_in_is_an_error(kind):
    assert kind.Result().error_code == kind.Result.INTERNAL


def test_a_goal_that_ended_without_success_is_no_success():
    def fail(goal):
        goal.abort()
        return ExecuteTask.Result(error_code=ExecuteTask.Result.NONE)

    with spinning() as (node,):
        server = ActionServer(node, ExecuteTask, "execute_task", fail)
        with pytest.raises(Refused, match="gave no reason"):
            client.send_task("wave")
        server.destroy()
