"""Every parameter of every node says what it is and what it may be, and none is set without effect."""

import pytest

pytest.importorskip("exoactor_interfaces.action")
pytest.importorskip("cyclonedds")

from rcl_interfaces.msg import ParameterType
from rclpy.parameter import Parameter

from exoactor.task_server import TaskServer
from exoactor_control.nodes.controller_node import ControllerNode
from exoactor_control.nodes.rehearsal_node import RehearsalNode
from exoactor_core.stages import backend_class, backend_names
from exoactor_gen.node import GeneratorNode
from exoactor_pose.node import PoseNode
from exoactor_retarget.node import RetargetNode
from exoactor_ros.parameters import Parameters
from exoactor_ros.stage_node import StageNode
from exoactor_ros.state_publisher import StatePublisher
from exoactor_sim.options import SimulatorOptions
from ros_testing import spinning

pytestmark = pytest.mark.ros
NODES = (TaskServer, GeneratorNode, PoseNode, RetargetNode, RehearsalNode, ControllerNode, StatePublisher)
ROS_OWN = {"use_sim_time", "start_type_description_service"}
NUMBERS = {ParameterType.PARAMETER_INTEGER: "integer_range", ParameterType.PARAMETER_DOUBLE: "floating_point_range"}


def lacking(node):
    """Own parameters without a description, or a number's without a range; and how many there are."""
    names = set(node.list_parameters([], 0).names) - ROS_OWN
    wrong = []
    for name in names:
        descriptor = node.describe_parameter(name)
        limits = NUMBERS.get(node.get_parameter(name).get_parameter_value().type)
        if not descriptor.description or (limits and not getattr(descriptor, limits)):
            wrong.append(name)
    return wrong, len(names)


@pytest.mark.parametrize("kind", NODES)
def test_every_parameter_has_a_description_and_a_range(kind):
    stays = [Parameter("autostart", value=False)] if issubclass(kind, StageNode) else []
    with spinning(lambda **options: kind(parameter_overrides=stays, **options)) as (node, _):
        if stays:
            stage = node._stage
            for name in backend_names(stage) if kind is not ControllerNode else ():
                node.options(name, backend_class(stage, name))
            if kind is GeneratorNode:
                node.wrap_backend(lambda: None)  # declares the judge's
        wrong, count = lacking(node)
        assert not wrong
        assert count > {StatePublisher: -1, TaskServer: 3, ControllerNode: 14}.get(kind, 2)


def test_the_simulator_too():
    defaults = SimulatorOptions(dds_domain=7)
    with spinning() as (node,):
        parameters = Parameters(node)
        parameters.declare_options(defaults)
        assert parameters.options(SimulatorOptions) == defaults
        assert lacking(node) == ([], len(SimulatorOptions.model_fields))


@pytest.mark.faults
def test_what_makes_a_real_robot_move_is_fixed_at_the_start():
    idle = [Parameter("autostart", value=False)]
    with spinning(TaskServer, lambda **o: ControllerNode(parameter_overrides=idle, **o)) as (tasks, controller, _):
        for node, name, value in (
            (controller, "approve_robot_automatically", True),
            (tasks, "robot", "real"),
            (controller, "require_rehearsal", False),
            (controller, "robot", "real"),
        ):
            result = node.set_parameters([Parameter(name, value=value)])[0]
            assert not result.successful
            assert "read-only" in result.reason
        assert tasks.set_parameters([Parameter("silence_timeout", value=5.0)])[0].successful
        assert tasks.parameters["silence_timeout"] == 5.0
