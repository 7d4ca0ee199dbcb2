"""The simulated objects on ROS topics: their poses as a tracker measures them, and markers of their true poses."""

from __future__ import annotations

from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from exoactor_interfaces.msg import ObjectPoses
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from exoactor_core.scene import Scene, SceneObject
from exoactor_core.simulation import ObjectSensor
from exoactor_ros import NAMESPACE, frame_prefix
from exoactor_ros.conversions import WORLD, pose_to_message, without_capsules
from exoactor_ros.qos import BEST_EFFORT, LATCHED
from exoactor_sim.world import World

MARKER_RATE = 10.0
"""Hz."""
_MARKERS = {"box": Marker.CUBE, "sphere": Marker.SPHERE, "cylinder": Marker.CYLINDER, "mesh": Marker.MESH_RESOURCE}


class ObjectTopics:
    """Publishes ``objects`` (`ObjectPoses`) at the sensor's rate, and ``object_markers`` for RViz.

    The poses on ``objects`` have the errors of the ``sensor``.
    """

    def __init__(self, node: Any, sensor: ObjectSensor) -> None:
        self._sensor = sensor
        self._clock = node.get_clock()
        self._frame = frame_prefix(node) + WORLD
        names = node.get_namespace().rstrip("/") + NAMESPACE
        self._poses = node.create_publisher(ObjectPoses, f"{names}/objects", BEST_EFFORT)
        self._markers = node.create_publisher(MarkerArray, f"{names}/object_markers", LATCHED)
        self._markers_due = 0.0

    def step(self, world: World) -> None:
        """Publish what is due."""
        time = world.data.time
        if world.scene is None:
            return
        if self._sensor.is_due(time):
            self._sensor.measure(time, world.object_poses)
        for measured, found in self._sensor.read(time):
            stamp = self._stamp(time - measured)
            message = ObjectPoses(ids=[world.scene.ids[i] for i in found])
            message.poses = [pose_to_message(pose) for pose in found.values()]
            message.header.frame_id, message.header.stamp = self._frame, stamp
            self._poses.publish(message)
        if time >= self._markers_due:
            self._markers_due = time + 1.0 / MARKER_RATE
            self._markers.publish(scene_markers(world.scene, world.object_poses, self._frame, self._stamp(0.0)))

    def _stamp(self, age: float) -> Time:
        """The time ``age`` s ago."""
        nanoseconds = self._clock.now().nanoseconds - int(1e9 * age)
        return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def scene_markers(scene: Scene, poses: np.ndarray, frame: str, stamp: Time) -> MarkerArray:
    """Markers of objects at poses (n, 7), m and w, x, y, z, in a frame."""
    markers = []
    for obj, pose in zip(scene.objects, poses, strict=True):
        markers += _object_markers(obj.at(pose), frame, stamp)
    return MarkerArray(markers=markers)


def _object_markers(obj: SceneObject, frame: str, stamp: Time) -> list[Marker]:
    markers = []
    red, green, blue = obj.color or (0.7, 0.6, 0.5)
    parts = [part for shape in obj.shapes for part in without_capsules(shape)]
    for k, part in enumerate(parts):
        marker = Marker(ns=obj.id, id=k, type=_MARKERS[part.kind], action=Marker.ADD)
        marker.header.frame_id, marker.header.stamp = frame, stamp
        pos = obj.pos + obj.rotation.apply(part.pos)
        quat = (obj.rotation * part.rotation).as_quat(scalar_first=True)
        marker.pose = pose_to_message(np.r_[pos, quat])
        x, y, z = part.size
        marker.scale = Vector3(x=x, y=y, z=z)
        marker.color = ColorRGBA(r=float(red), g=float(green), b=float(blue), a=1.0)
        if part.mesh:
            marker.mesh_resource = f"file://{part.mesh}"
            marker.scale = Vector3(x=1.0, y=1.0, z=1.0)
        markers.append(marker)
    name = Marker(ns=obj.id, id=len(parts), type=Marker.TEXT_VIEW_FACING, action=Marker.ADD, text=obj.id)
    name.header.frame_id, name.header.stamp = frame, stamp
    name.pose = pose_to_message(obj.pose)
    name.pose.position = Point(x=obj.pos[0], y=obj.pos[1], z=float(obj.extent[1, 2]) + 0.06)
    name.scale.z = 0.05
    name.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
    markers.append(name)
    return markers
