import json
import time
from array import array
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("exoactor_interfaces.action")

from exoactor_interfaces.action import EstimateMotion, TrackMotion
from exoactor_interfaces.msg import ObjectPoses

from exoactor_core.contacts import Contact
from exoactor_core.errors import BadInput, Busy, Cancelled
from exoactor_core.everyday import EVERYDAY
from exoactor_core.interaction import Interaction
from exoactor_core.motion import CORRECTION_WIDTH, HUMAN_ARRAYS, JOINT_NAMES, HumanMotion, RobotMotion
from exoactor_core.scene import everyday, joined
from exoactor_core.task_checks import Check
from exoactor_core.video import Video
from exoactor_ros import conversions as convert

pytestmark = pytest.mark.ros
rng = np.random.default_rng(1)


def human(t=7):
    return HumanMotion(
        30.0,
        rng.normal(size=(t, 3)),
        rng.normal(size=(t, 3)),
        rng.normal(size=(t, 63)),
        rng.normal(size=10),
        contacts=rng.uniform(size=(t, 4)),
        confidence=rng.uniform(size=t),
        limb_confidence=rng.uniform(size=(t, 5)),
    )


def robot(t=9, contacts=True):
    quat = rng.normal(size=(t, 4))
    quat /= np.linalg.norm(quat, axis=1, keepdims=True)
    known = (
        {"contacts": rng.uniform(size=(t, 2)), "correction": rng.normal(size=(t, CORRECTION_WIDTH))} if contacts else {}
    )
    return RobotMotion(50.0, rng.normal(size=(t, 3)), quat, rng.normal(size=(t, 29)), **known)


def assert_same(a, b, names):
    for name in names:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-6, err_msg=name)


def test_human_there_and_back():
    motion = human()
    back = convert.human_from_message(convert.human_to_message(motion))
    assert back.fps == motion.fps
    assert_same(back, motion, ("betas", *HUMAN_ARRAYS))


@pytest.mark.parametrize("contacts", [True, False])
def test_robot_there_and_back(contacts):
    motion = robot(contacts=contacts)
    back = convert.robot_from_message(convert.robot_to_message(motion))
    assert back.fps == motion.fps
    assert_same(back, motion, ("root_pos", "root_quat_wxyz", "joint_pos"))
    assert (back.contacts is None) is (back.correction is None) is not contacts
    if contacts:
        assert_same(back, motion, ("contacts", "correction"))


def test_video_and_images():
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32] = (255, 0, 0)
    video = Video.from_frames([image] * 5, 30, intrinsics=(50.0, 50.0, 32.0, 24.0))
    back = convert.video_from_message(convert.video_to_message(video))
    assert (back.data, back.fps, back.width, back.height) == (video.data, 30, 64, 48)
    assert back.intrinsics == video.intrinsics
    assert convert.image_from_message(convert.jpeg_message(image, convert.Time())).shape == image.shape
    preview = convert.image_from_message(convert.jpeg_message(image, convert.Time(), width=320))
    assert preview.shape == (240, 320, 3)
    assert abs(int(preview[120, 80, 0]) - 255) < 20


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: setattr(m, "num_frames", 0), "no frames"),
        (lambda m: setattr(m, "num_frames", 8), "numbers"),
        (lambda m: setattr(m, "joint_names", list(JOINT_NAMES[:23])), "23 joints"),
        (lambda m: setattr(m, "joint_names", list(JOINT_NAMES[::-1])), "motor order"),
        (lambda m: setattr(m, "fps", 0.0), "frame rate"),
        (lambda m: setattr(m, "root_quat_wxyz", array("f", [0.5] * 36)), None),
        (lambda m: setattr(m, "root_quat_wxyz", array("f", [0.7] * 36)), "unit quaternion"),
        (lambda m: setattr(m, "joint_pos", array("f", [float("nan")] * 261)), "not finite"),
    ],
)
def test_bad_robot_message(change, said):
    message = convert.robot_to_message(robot())
    change(message)
    if said is None:
        convert.robot_from_message(message)
        return
    with pytest.raises(BadInput, match=said):
        convert.robot_from_message(message)


def test_bad_human_and_video_messages():
    message = convert.human_to_message(human())
    message.body_pose = message.body_pose[:-1]
    with pytest.raises(BadInput, match="body_pose"):
        convert.human_from_message(message)
    with pytest.raises(BadInput):
        convert.video_from_message(convert.msg.Video(data=b"no video"))
    with pytest.raises(BadInput, match="scene image"):
        convert.image_from_message(convert.CompressedImage(data=b"no image"))


def test_error_codes_and_metrics():
    assert convert.error_code(300, BadInput("x")) == 302
    assert convert.error_code(300, Cancelled("x")) == 305
    assert convert.error_code(300, ValueError("x")) == 301
    assert convert.error_code(300, Busy("x")) == EstimateMotion.Result.BUSY
    figures = {"a": np.float32(0.5), "b": [np.int64(3), float("nan")], "c": {"d": np.bool_(True)}}
    assert json.loads(convert.metrics_to_json(figures)) == {"a": 0.5, "b": [3, None], "c": {"d": True}}


def test_a_minute_of_motion_converts_quickly():
    motion = robot(3000)
    start = time.perf_counter()
    convert.robot_from_message(convert.robot_to_message(motion))
    assert time.perf_counter() - start < 0.5  # 10 ms where nothing else runs; number by number it would be seconds


def every_kind():
    capsule = {"kind": "capsule", "size": (0.1, 0.1, 0.4), "pos": (0, 0, 0.2)}
    mesh = {"kind": "mesh", "size": (0.1, 0.2, 0.3), "mesh": "/somewhere/part.stl"}
    things = [everyday(category, pos=(i, 0, 0), yaw=0.1 * i) for i, category in enumerate(EVERYDAY)]
    return joined([*things, everyday("box", "odd", shapes=[capsule, mesh])])


def test_scenes_come_through_messages():
    scene = every_kind()
    back = convert.scene_from_message(convert.scene_to_message(scene))
    for one, other in zip(back.objects, scene.objects, strict=True):
        np.testing.assert_allclose(one.bounds, other.bounds, atol=1e-5)
        np.testing.assert_allclose(one.pose, other.pose)
        assert one.color == (other.color and pytest.approx(other.color, abs=1e-6))
        same = {"id", "category", "mass", "friction", "rolling_friction", "movable", "supports", "contains"}
        assert one.model_dump(include=same) == other.model_dump(include=same)
        assert one.articulation == other.articulation
    assert convert.scene_from_message(convert.scene_to_message(None)) is None


def test_a_scene_that_is_none_gets_a_sentence():
    message = convert.scene_to_message(joined([everyday("box")]))
    message.objects[0].primitives[0].type = 4  # a cone
    with pytest.raises(BadInput, match="'box' has a primitive that is not a box"):
        convert.scene_from_message(message)
    message = convert.scene_to_message(joined([everyday("box")]))
    message.objects[0].pose.position.x = float("nan")
    with pytest.raises(BadInput, match="finite"):
        convert.scene_from_message(message)


def test_poses_of_objects_are_numbers_with_an_orientation():
    message = ObjectPoses(ids=["cup"], poses=[convert.pose_to_message(np.array([1.0, 2, 3, 0, 0, 1, 0]))])
    (pose,) = convert.object_poses_from_message(message).values()
    assert pose.tolist() == [1, 2, 3, 0, 0, 1, 0]
    message.poses[0].position.x = float("nan")
    with pytest.raises(BadInput, match="The pose of the cup is not finite"):
        convert.object_poses_from_message(message)
    message.poses[0].position.x, message.poses[0].orientation.y = 1.0, 0.5
    with pytest.raises(BadInput, match="not of unit length"):
        convert.object_poses_from_message(message)
    message.ids = ["cup", "box"]
    with pytest.raises(BadInput, match="2 ids of objects, but 1 poses"):
        convert.object_poses_from_message(message)


def test_poses_of_objects_over_a_motion_belong_to_the_scene_and_its_frames():
    scene, motion = joined([everyday("box"), everyday("table")]), robot(9)
    result = TrackMotion.Result(motion=convert.robot_to_message(motion))
    assert convert.object_motion_from_message(result, scene) is None
    poses = np.tile(scene.poses, (len(motion), 1, 1)) + rng.uniform(size=(len(motion), 1, 7))
    convert.set_object_motion(result, scene.ids, poses)
    np.testing.assert_allclose(convert.object_motion_from_message(result, scene), poses, atol=1e-6)
    for other in (None, joined([everyday("table"), everyday("box")])):
        with pytest.raises(BadInput, match="poses of box, table, but these are not the scene's"):
            convert.object_motion_from_message(result, other)
    result.object_poses = result.object_poses[:-7]
    with pytest.raises(BadInput, match="object_poses holds"):
        convert.object_motion_from_message(result, scene)


def test_contacts_and_checks_belong_to_a_scene():
    interaction = Interaction(joined([everyday("box")]), checks=(Check(kind="lifted", object="box"),))
    goal = TrackMotion.Goal()
    convert.set_interaction(goal, interaction)
    back = convert.interaction_from_message(goal)
    assert (back.scene.ids, back.contacts, back.checks) == (("box",), (), interaction.checks)
    goal.scene.objects = []
    with pytest.raises(BadInput, match="no scene"):
        convert.interaction_from_message(goal)
    assert convert.interaction_from_message(TrackMotion.Goal()) is None


def test_hands_and_contacts_come_through_messages():
    grasp = Contact(body="left_hand", object="cup", kind="grasp", start=0.5, end=1.0, normal_object=(1.0, 0.0, 0.0))
    motion = replace(robot(), hands=rng.uniform(size=(9, 2)), object_contacts=(grasp,))
    back = convert.robot_from_message(convert.robot_to_message(motion))
    assert back.object_contacts == (grasp,)
    np.testing.assert_allclose(back.hands, motion.hands, atol=1e-6)
    assert convert.robot_from_message(convert.robot_to_message(robot())).object_contacts == ()
