"""Motions, videos, images and errors to and from messages.

Large arrays go through ``array.array`` and numpy buffers, which is what rclpy copies without looking at each number.
"""

from __future__ import annotations

import json
import traceback
from array import array
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from exoactor_interfaces import msg
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, JointState

from exoactor_core.errors import BadInput, Internal, user_error
from exoactor_core.files import decoded, encoded, json_object
from exoactor_core.motion import CORRECTION_WIDTH, JOINT_NAMES, LIMBS, HumanMotion, RobotMotion
from exoactor_core.stages import Metrics
from exoactor_core.video import Video

WORLD = "world"
"""Frame in which motions are given."""

_HUMAN_WIDTHS = {
    "transl": 3,
    "global_orient": 3,
    "body_pose": 63,
    "hand_pose": 90,
    "contacts": 4,
    "confidence": 1,
    "limb_confidence": len(LIMBS),
}
_ROBOT_WIDTHS = {"root_pos": 3, "root_quat_wxyz": 4, "joint_pos": 29, "contacts": 2, "correction": CORRECTION_WIDTH}


def floats(values: np.ndarray | None) -> array:
    """Numbers of any shape as a flat float32 array of a message; None gives an empty one."""
    return array("f", b"" if values is None else np.ascontiguousarray(values, np.float32).tobytes())


def _rows(what: str, values: Any, count: int, width: int) -> np.ndarray:
    """Flat message numbers as (count, width)."""
    flat = np.frombuffer(values, np.float32) if isinstance(values, array) else np.asarray(values, np.float32)
    if flat.size != count * width:
        raise BadInput(f"{what} holds {flat.size} numbers, but num_frames {count} times {width} are needed.")
    return flat.reshape(count, width)


def human_to_message(motion: HumanMotion | None, stamp: Time | None = None) -> msg.HumanMotion:
    """A person's motion as a message; None gives one with no frames."""
    message = msg.HumanMotion()
    message.header.frame_id = WORLD
    message.header.stamp = stamp or Time()
    if motion is not None:
        message.fps = motion.fps
        message.num_frames = len(motion)
        message.betas = floats(motion.betas)
        for name in _HUMAN_WIDTHS:
            setattr(message, name, floats(getattr(motion, name)))
    return message


def optional_human(message: msg.HumanMotion) -> HumanMotion | None:
    """A person's motion out of a message that may have no frames; raises `BadInput` as `human_from_message`."""
    return human_from_message(message) if message.num_frames else None


def human_from_message(message: msg.HumanMotion) -> HumanMotion:
    """A person's motion out of a message.

    Raises
    ------
    BadInput
        There are no frames, an array has the wrong length, or a number is not finite.
    """
    count = message.num_frames
    if not count:
        raise BadInput("The human motion has no frames.")
    fields: dict[str, Any] = {}
    for name, width in _HUMAN_WIDTHS.items():
        values = getattr(message, name)
        optional = name in ("hand_pose", "contacts", "confidence", "limb_confidence") and not len(values)
        fields[name] = None if optional else _rows(name, values, count, width)
    if fields["confidence"] is not None:
        fields["confidence"] = fields["confidence"][:, 0]
    return HumanMotion(fps=message.fps, betas=np.asarray(message.betas, np.float32), **fields)


def robot_to_message(motion: RobotMotion, stamp: Time | None = None) -> msg.RobotMotion:
    """The G1's motion as a message."""
    message = msg.RobotMotion()
    message.header.frame_id = WORLD
    message.header.stamp = stamp or Time()
    message.fps = motion.fps
    message.num_frames = len(motion)
    message.joint_names = list(motion.joint_names)
    for name in _ROBOT_WIDTHS:
        setattr(message, name, floats(getattr(motion, name)))
    return message


def robot_from_message(message: msg.RobotMotion) -> RobotMotion:
    """The G1's motion out of a message.

    Raises
    ------
    BadInput
        There are no frames, the joints are others, an array has the wrong length, a quaternion is not a unit
        quaternion, or a number is not finite.
    """
    count = message.num_frames
    if not count:
        raise BadInput("The robot motion has no frames.")
    if len(message.joint_names) != len(JOINT_NAMES):
        raise BadInput(f"The robot motion has {len(message.joint_names)} joints, but the G1 has {len(JOINT_NAMES)}.")
    fields: dict[str, Any] = {
        name: None
        if name in ("contacts", "correction") and not len(getattr(message, name))
        else _rows(name, getattr(message, name), count, w)
        for name, w in _ROBOT_WIDTHS.items()
    }
    return RobotMotion(fps=message.fps, joint_names=tuple(message.joint_names), **fields)


def video_to_message(video: Video, stamp: Time | None = None) -> msg.Video:
    """A video as a message."""
    message = msg.Video(fps=video.fps, width=video.width, height=video.height)
    message.header.frame_id = "camera"
    message.header.stamp = stamp or Time()
    message.data = array("B", video.data)
    message.intrinsics = array("d", video.intrinsics or ())
    return message


def video_from_message(message: msg.Video) -> Video:
    """A video out of a message; its bytes say its size and frame rate.

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
    """A plan as the text of a message; None gives an empty one."""
    return "" if plan is None else json.dumps(plan)


def plan_from_message(text: str) -> dict[str, Any] | None:
    """A plan out of a message's text, None where it is empty; raises `BadInput` where it is no JSON object."""
    return json_object(text, "The plan") if text.strip() else None


def joint_state_message(joint_pos: np.ndarray, stamp: Time, joint_vel: np.ndarray | None = None) -> JointState:
    """Joint angles (29,) rad, and optionally speeds (29,) rad/s, in Unitree's motor order."""
    message = JointState(name=list(JOINT_NAMES), position=array("d", np.asarray(joint_pos, np.float64).tobytes()))
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
    pose = message.pose.pose
    pose.position.x, pose.position.y, pose.position.z = (float(v) for v in position)
    q = pose.orientation
    q.w, q.x, q.y, q.z = (float(v) for v in quat_wxyz)
    return message


def jpeg_message(image: np.ndarray, stamp: Time, width: int = 0, frame_id: str = "camera") -> CompressedImage:
    """An image, (H, W, 3) uint8 RGB, as a jpeg ``width`` px wide; 0: as it is."""
    if width:
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    message = CompressedImage(format="jpeg", data=array("B", data.tobytes()))
    message.header.frame_id = frame_id
    message.header.stamp = stamp
    return message


def image_to_message(image: np.ndarray | None) -> CompressedImage:
    """An image, (H, W, 3) uint8 RGB, as png; None gives a message with no data."""
    return CompressedImage() if image is None else CompressedImage(format="png", data=array("B", encoded(image)))


def image_from_message(message: CompressedImage) -> np.ndarray | None:
    """A scene image, (H, W, 3) uint8 RGB; None when the message holds none.

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


def failure(node: Node, base: int, error: Exception, what: str) -> tuple[int, str]:
    """Error code and message of an action's result for an error, which is logged as that of ``what``."""
    known = user_error(error)
    if node.context.ok():  # else the process is ending, and nobody hears
        if known:
            node.get_logger().warning(f"{what}: {known}")
        else:
            node.get_logger().error("".join(traceback.format_exception(error)))
    bug = f"Internal error in the {node.get_name()} ({type(error).__name__}: {error}); see its log."
    return error_code(base, error), str(known or bug)


def end_goal(goal: Any, result: Any) -> None:
    """Give a goal the terminal state that its result's ``error_code`` stands for: the two never contradict."""
    if result.error_code == result.NONE:
        goal.succeed()
    elif result.error_code == result.CANCELLED and goal.is_cancel_requested:
        goal.canceled()
    else:  # also what the node cancelled by itself: rcl has no state for it
        goal.abort()


def metrics_to_json(metrics: Metrics) -> str:
    """Figures as one JSON object; numpy's numbers and arrays become plain ones, and what JSON lacks (nan) null."""
    return json.dumps(_plain(metrics))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(v) for v in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
