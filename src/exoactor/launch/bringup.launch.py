"""All of ExoActor: ros2 launch exoactor bringup.launch.py [robot:=sim|real] [policy:=FILE.onnx] [rviz:=true] ..."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from exoactor.graph import ARGUMENTS, RESPAWN_DELAY, environment, launch_key, processes, resolve, rviz_arguments
from exoactor.graph_lock import lock_graph

LOCKS = []
"""Held while the launch runs."""


def start(context):
    """Start the processes of the graph with the given arguments."""
    values = resolve({a.name: LaunchConfiguration(a.name).perform(context) for a in ARGUMENTS})
    LOCKS.extend(lock_graph(values))
    key = launch_key()
    # The whole command line of a process comes from the graph, so that `exoactor up` and this file agree.
    network = environment(values["network"])
    nodes = [
        Node(
            package=p.package,
            executable=p.name,
            ros_arguments=p.ros_arguments(values)[1:],
            additional_env=network | p.key_environment(key),
            respawn=p.respawn,
            respawn_delay=RESPAWN_DELAY,
            output="screen",
        )
        for p in processes(values)
    ]
    if values["rviz"] == "true":
        view = rviz_arguments(values["namespace"])
        nodes.append(Node(package="rviz2", executable="rviz2", arguments=view, additional_env=network, output="log"))
    return [LogInfo(msg=f"robot: {values['robot']}, policy: {values['policy'] or 'none'}"), *nodes]


def generate_launch_description():
    """Declare the arguments, then start."""
    arguments = [
        DeclareLaunchArgument(a.name, default_value=a.default, description=a.description, choices=a.choices or None)
        for a in ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
