"""Conversion of motions, videos, images and errors to and from messages.

Large arrays go through ``array.array`` and numpy buffers, which rclpy copies without visiting each number.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from exoactor_interfaces import msg
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from nav_msgs.msg import Odometry
from pydantic_core import to_json
from sensor_msgs.msg import CompressedImage, JointState
from shape_msgs.msg import SolidPrimitive

from exoactor_core.contacts import contacts_from_json, contacts_to_json
from exoactor_core.errors import BadInput, Internal, user_error
from exoactor_core.files import decoded, encoded, json_object
from exoactor_core.interaction import Interaction
from exoactor_core.motion import EXECUTION_FIELDS, HUMAN_ARRAYS, JOINT_NAMES, ROBOT_ARRAYS, HumanMotion, RobotMotion
from exoactor_core.scene import Scene, SceneObject, Shape
from exoactor_core.stages import Metrics
from exoactor_core.task_checks import checks_from_json, checks_to_json
from exoactor_core.video import Video

WORLD = "world"
"""Frame in which motions are given."""


def floats(values: np.ndarray | None) -> array:
    """Numbers of any shape as a flat float32 array of a message; None gives an empty one."""
    return array("f", b"" if values is None else np.ascontiguousarray(values, np.float32).tobytes())


def _rows(what: str, values: Any, count: int, width: int) -> np.ndarray:
    """Flat message numbers as (count, width)."""
    flat = np.frombuffer(values, np.float32) if isinstance(values, array) else np.asarray(values, np.float32)
    if flat.size != count * width:
        raise BadInput(f"{what} holds {flat.size} numbers, but num_frames {count} times {width} are needed.")
    return flat.reshape(count, width)


def _arrays(message: Any, widths: dict[str, int], whose: str) -> dict[str, Any]:
    """Read a motion's arrays from a message; empty ones are None, which the motion refuses if it needs them."""
    if not message.num_frames:
        raise BadInput(f"The {whose} motion has no frames.")
    given = {name: getattr(message, name) for name in widths}
    return {
        name: _rows(name, values, message.num_frames, widths[name]) if len(values) else None
        for name, values in given.items()
    }


def human_to_message(motion: HumanMotion | None) -> msg.HumanMotion:
    """Convert a human motion to a message; None gives one without frames."""
    message = msg.HumanMotion()
    message.header.frame_id = WORLD
    if motion is not None:
        message.fps = motion.fps
        message.num_frames = len(motion)
        message.betas = floats(motion.betas)
        for name in HUMAN_ARRAYS:
            setattr(message, name, floats(getattr(motion, name)))
    return message


def optional_human(message: msg.HumanMotion) -> HumanMotion | None:
    """Read a human motion from a message that may have no frames; raises `BadInput` as `human_from_message`."""
    return human_from_message(message) if message.num_frames else None


def human_from_message(message: msg.HumanMotion) -> HumanMotion:
    """Read a human motion from a message.

    Raises
    ------
    BadInput
        There are no frames, an array has the wrong length, or a number is not finite.
    """
    fields = _arrays(message, HUMAN_ARRAYS, "human")
    if fields["confidence"] is not None:
        fields["confidence"] = fields["confidence"][:, 0]
    return HumanMotion(fps=message.fps, betas=np.asarray(message.betas, np.float32), **fields)


def robot_to_message(motion: RobotMotion) -> msg.RobotMotion:
    """Convert a robot motion to a message."""
    message = msg.RobotMotion()
    message.header.frame_id = WORLD
    message.fps = motion.fps
    message.num_frames = len(motion)
    message.joint_names = list(motion.joint_names)
    for name in ROBOT_ARRAYS:
        setattr(message, name, floats(getattr(motion, name)))
    if motion.object_contacts:
        message.object_contacts = contacts_to_json(motion.object_contacts)
    set_execution(message, motion)
    return message


def set_execution(message: Any, motion: RobotMotion) -> None:
    """Set the execution fields of a message, which has fields of these names, from a motion."""
    for name, value in motion.execution.items():
        setattr(message, name, value)


def execution_from_message(message: Any) -> dict[str, Any]:
    """Read the execution fields of a message, as `set_execution` sets them."""
    return {name: getattr(message, name) for name in EXECUTION_FIELDS}


def robot_from_message(message: msg.RobotMotion) -> RobotMotion:
    """Read a robot motion from a message.

    Raises
    ------
    BadInput
        There are no frames, the joints differ, an array has the wrong length, a quaternion is not a unit
        quaternion, or a number is not finite.
    """
    if len(message.joint_names) != len(JOINT_NAMES):
        raise BadInput(f"The robot motion has {len(message.joint_names)} joints, but the G1 has {len(JOINT_NAMES)}.")
    fields = _arrays(message, ROBOT_ARRAYS, "robot")
    contacts = contacts_from_json(message.object_contacts or "[]")
    names = tuple(message.joint_names)
    return RobotMotion(
        fps=message.fps, joint_names=names, object_contacts=contacts, **execution_from_message(message), **fields
    )


_PRIMITIVES = {"box": SolidPrimitive.BOX, "sphere": SolidPrimitive.SPHERE, "cylinder": SolidPrimitive.CYLINDER}
_ARTICULATIONS = {"hinge": msg.SceneObject.HINGE, "slide": msg.SceneObject.SLIDE}


def pose_to_message(pose: np.ndarray) -> Pose:
    """Convert a pose (7,), m and w, x, y, z, to a message."""
    x, y, z, qw, qx, qy, qz = (float(v) for v in pose)
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def pose_from_message(message: Pose) -> np.ndarray:
    """Read a pose (7,), m and w, x, y, z, from a message."""
    p, q = message.position, message.orientation
    return np.array([p.x, p.y, p.z, q.w, q.x, q.y, q.z])


def object_poses_from_message(message: msg.ObjectPoses) -> dict[str, np.ndarray]:
    """Read poses (7,), m and w, x, y, z, of objects by id.

    Raises
    ------
    BadInput
        The numbers of poses and ids differ, or a pose is not finite or has no orientation.
    """
    if len(message.ids) != len(message.poses):
        raise BadInput(f"There are {len(message.ids)} ids of objects, but {len(message.poses)} poses.")
    poses = {name: pose_from_message(pose) for name, pose in zip(message.ids, message.poses, strict=True)}
    for name, pose in poses.items():
        if not np.isfinite(pose).all() or abs(np.linalg.norm(pose[3:]) - 1.0) > 0.01:
            raise BadInput(f"The pose of the {name} is not finite, or its quaternion not of unit length.")
    return poses


def set_object_motion(message: Any, ids: Sequence[str], poses: np.ndarray) -> None:
    """Set poses (T, n, 7), m and w, x, y, z, of objects in each frame of a message's motion."""
    message.object_ids, message.object_poses = list(ids), floats(poses)


def object_motion_from_message(message: Any, scene: Scene | None) -> np.ndarray | None:
    """Read poses (T, n, 7), m and w, x, y, z, of a scene's objects in each frame of a message's motion; None: unknown.

    Raises
    ------
    BadInput
        The objects are not the scene's, or the size does not match frames and objects.
    """
    ids = tuple(message.object_ids)
    if not ids:
        return None
    if scene is None or ids != scene.ids:
        raise BadInput(f"There are poses of {', '.join(ids)}, but these are not the scene's objects, in its order.")
    flat = _rows("object_poses", message.object_poses, message.motion.num_frames, 7 * len(ids))
    return flat.reshape(-1, len(ids), 7)


def _vector(kind: type, values: Sequence[float]) -> Any:
    x, y, z = (float(v) for v in values)
    return kind(x=x, y=y, z=z)


_SCALAR_FIELDS = ("id", "category", "mass", "friction", "rolling_friction", "movable", "supports", "contains")
"""Fields that objects and their messages share."""


def scene_to_message(scene: Scene | None) -> msg.Scene:
    """Convert a scene to a message; None gives one without objects."""
    message = msg.Scene(objects=[_object_to_message(obj) for obj in (scene.objects if scene else ())])
    message.header.frame_id = WORLD
    return message


def _object_to_message(obj: SceneObject) -> msg.SceneObject:
    message = msg.SceneObject(pose=pose_to_message(obj.pose), **{name: getattr(obj, name) for name in _SCALAR_FIELDS})
    meshes = [shape for shape in obj.shapes if shape.mesh]
    message.meshes = [shape.mesh for shape in meshes]
    message.mesh_sizes = [_vector(Vector3, shape.size) for shape in meshes]
    message.mesh_poses = [pose_to_message(shape.pose) for shape in meshes]
    parts = [part for shape in obj.shapes if not shape.mesh for part in without_capsules(shape)]
    message.primitives = [_primitive(part) for part in parts]
    message.primitive_poses = [pose_to_message(part.pose) for part in parts]
    if (joint := obj.articulation) is not None:
        message.articulation = _ARTICULATIONS[joint.kind]
        message.axis, message.axis_point = _vector(Vector3, joint.axis), _vector(Point, joint.pos)
        message.lower, message.upper = joint.limits
        message.damping, message.initial = joint.damping, joint.initial
    message.color = list(obj.color or ())
    return message


def _primitive(shape: Shape) -> SolidPrimitive:
    x, y, z = shape.size
    dimensions = {"box": [x, y, z], "sphere": [x / 2], "cylinder": [z, x / 2]}[shape.kind]
    return SolidPrimitive(type=_PRIMITIVES[shape.kind], dimensions=dimensions)


def without_capsules(shape: Shape) -> tuple[Shape, ...]:
    """Replace a capsule, for which messages have no kind, by a cylinder between two spheres; other shapes are kept."""
    if shape.kind != "capsule":
        return (shape,)
    width, _, length = shape.size
    reach = shape.rotation.apply([0.0, 0.0, max(length - width, 1e-6) / 2])
    ends = (
        shape.model_copy(update={"kind": "sphere", "size": (width,) * 3, "pos": tuple(shape.pos + side * reach)})
        for side in (-1, 1)
    )
    return (shape.model_copy(update={"kind": "cylinder", "size": (width, width, max(length - width, 1e-6))}), *ends)


def set_interaction(message: Any, interaction: Interaction | None) -> None:
    """Set the scene of a message from an interaction, and contacts and checks if it has such fields."""
    if interaction is None:
        return
    message.scene = scene_to_message(interaction.scene)
    if hasattr(message, "contacts"):
        message.contacts = contacts_to_json(interaction.contacts)
    if hasattr(message, "checks"):
        message.checks = checks_to_json(interaction.checks)


def interaction_from_message(message: Any) -> Interaction | None:
    """Read the interaction of a message, as `set_interaction` sets it; None if its scene has no objects.

    Raises
    ------
    BadInput
        The scene, the contacts or the checks are invalid, or there are contacts or checks without a scene.
    """
    scene = scene_from_message(message.scene)
    contacts = contacts_from_json(getattr(message, "contacts", "") or "[]")
    checks = checks_from_json(getattr(message, "checks", "") or "[]")
    if scene is not None:
        return Interaction(scene, contacts, checks)
    if contacts or checks:
        raise BadInput("There are contacts or checks, but no scene with their objects: give the scene, too.")
    return None


def scene_from_message(message: msg.Scene) -> Scene | None:
    """Read a scene from a message; None if it has no objects.

    Raises
    ------
    BadInput
        An object is invalid: an unknown kind of shape, a wrong number of dimensions or poses, or as `Scene.read`.
    """
    if not message.objects:
        return None
    return Scene.read({"objects": [_object_from_message(obj) for obj in message.objects]}, "The scene's message")


def _object_from_message(message: msg.SceneObject) -> dict[str, Any]:
    shapes = []
    kinds = {number: kind for kind, number in _PRIMITIVES.items()}
    if len(message.primitives) != len(message.primitive_poses):
        raise BadInput(f"The object '{message.id}' needs one of primitive_poses for each of its primitives.")
    if not len(message.meshes) == len(message.mesh_sizes) == len(message.mesh_poses):
        raise BadInput(f"The object '{message.id}' needs one of mesh_sizes and mesh_poses for each of its meshes.")
    for primitive, pose in zip(message.primitives, message.primitive_poses, strict=True):
        kind, d = kinds.get(primitive.type, ""), list(primitive.dimensions)
        wanted = {"box": 3, "sphere": 1, "cylinder": 2}.get(kind)
        if wanted is None or len(d) != wanted:
            raise BadInput(f"The object '{message.id}' has a primitive that is not a box, sphere or cylinder.")
        size = {"box": d, "sphere": [2 * d[0]] * 3, "cylinder": [2 * d[-1], 2 * d[-1], d[0]]}[kind]
        shapes.append({"kind": kind, "size": size} | _pose_data(pose))
    for path, size, pose in zip(message.meshes, message.mesh_sizes, message.mesh_poses, strict=True):
        shapes.append({"kind": "mesh", "mesh": path, "size": [size.x, size.y, size.z]} | _pose_data(pose))
    names = {number: kind for kind, number in _ARTICULATIONS.items()}
    articulation = None
    if message.articulation in names:
        axis, point = message.axis, message.axis_point
        articulation = {
            "kind": names[message.articulation],
            "axis": [axis.x, axis.y, axis.z],
            "pos": [point.x, point.y, point.z],
            "limits": [message.lower, message.upper],
            "damping": message.damping,
            "initial": message.initial,
        }
    return {name: getattr(message, name) for name in _SCALAR_FIELDS} | {
        "shapes": shapes,
        "articulation": articulation,
        "color": [float(v) for v in message.color] or None,
        **_pose_data(message.pose),
    }


def _pose_data(message: Pose) -> dict[str, list[float]]:
    pose = pose_from_message(message).tolist()
    return {"pos": pose[:3], "quat_wxyz": pose[3:]}


def video_to_message(video: Video) -> msg.Video:
    """Convert a video to a message."""
    message = msg.Video(fps=video.fps, width=video.width, height=video.height)
    message.header.frame_id = "camera"
    message.data = array("B", video.data)
    message.intrinsics = array("d", video.intrinsics or ())
    return message


def video_from_message(message: msg.Video) -> Video:
    """Read a video from a message; its size and frame rate are those in its bytes.

    Raises
    ------
    BadInput
        The bytes are not a video, or the intrinsics are not four numbers.
    """
    video = Video.from_bytes(bytes(message.data))
    intrinsics = tuple(message.intrinsics)
    if not intrinsics:
        return video
    if len(intrinsics) != 4:
        raise BadInput(f"The video's intrinsics are {len(intrinsics)} numbers, but fx, fy, cx, cy are needed.")
    return replace(video, intrinsics=intrinsics)


def plan_to_message(plan: dict[str, Any] | None) -> str:
    """Convert a plan to the text of a message; None gives an empty text."""
    return "" if plan is None else json.dumps(plan)


def plan_from_message(text: str) -> dict[str, Any] | None:
    """Read a plan from the text of a message; None if it is empty. Raises `BadInput` if it is not a JSON object."""
    return json_object(text, "The plan") if text.strip() else None


def joint_state_message(
    joint_pos: np.ndarray | Sequence[float],
    stamp: Time,
    joint_vel: np.ndarray | None = None,
    names: Sequence[str] = JOINT_NAMES,
) -> JointState:
    """Joint positions (n,) rad, and optionally velocities (n,) rad/s; by default in Unitree's motor order."""
    message = JointState(name=list(names), position=array("d", np.asarray(joint_pos, np.float64).tobytes()))
    message.header.stamp = stamp
    if joint_vel is not None:
        message.velocity = array("d", np.asarray(joint_vel, np.float64).tobytes())
    return message


def odometry_message(
    position: np.ndarray, quat_wxyz: np.ndarray, stamp: Time, prefix: str = "", child: str = "pelvis"
) -> Odometry:
    """Pose of the pelvis in the world, (3,) m and (4,) unit quaternion; the frames' names get a prefix."""
    message = Odometry(child_frame_id=prefix + child)
    message.header.frame_id = prefix + WORLD
    message.header.stamp = stamp
    message.pose.pose = pose_to_message(np.r_[position, quat_wxyz])
    return message


def jpeg_message(image: np.ndarray, stamp: Time, width: int = 0) -> CompressedImage:
    """Convert an image, (H, W, 3) uint8 RGB, to a jpeg ``width`` px wide; 0: unscaled."""
    if width:
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    message = CompressedImage(format="jpeg", data=array("B", encoded(image, ".jpg")))
    message.header.frame_id = "camera"
    message.header.stamp = stamp
    return message


def image_to_message(image: np.ndarray | None) -> CompressedImage:
    """Convert an image, (H, W, 3) uint8 RGB, to a png; None gives a message without data."""
    return CompressedImage() if image is None else CompressedImage(format="png", data=array("B", encoded(image)))


def image_from_message(message: CompressedImage) -> np.ndarray | None:
    """Read an image, (H, W, 3) uint8 RGB; None if the message has no data.

    Raises
    ------
    BadInput
        The bytes are not an image.
    """
    if not len(message.data):
        return None
    image = decoded(message.data)
    if image is None:
        raise BadInput("The scene image is not an image that can be read (png or jpeg).")
    return image


def error_code(base: int, error: BaseException) -> int:
    """Error code of an action: its server's base (100 ... 500) plus the error's cause."""
    return base + (user_error(error) or Internal).code


def metrics_to_json(metrics: Metrics) -> str:
    """Metrics as one JSON object; numpy types become plain ones, and what JSON lacks (nan) becomes null."""
    return to_json(metrics, inf_nan_mode="null", fallback=lambda value: value.tolist()).decode()
