"""ROS parameters with a type, a range and a description each; setting one takes effect or is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args, get_origin

from annotated_types import Interval
from pydantic import TypeAdapter, ValidationError
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from exoactor_core.errors import BadInput


class Parameters:
    """Declares a node's parameters and checks every change of them.

    Parameters
    ----------
    node
        The node that has them.
    locked
        Returns why no parameter may be changed now, as a sentence; empty: they may.
    """

    def __init__(self, node: Node, locked: Callable[[], str] = lambda: "") -> None:
        self._node, self._locked = node, locked
        self._types: dict[str, TypeAdapter] = {}
        node.add_on_set_parameters_callback(self._check)

    def declare(self, name: str, default: Any, description: str, kind: Any = None, *, read_only: bool = False) -> Any:
        """Declare a parameter, once, and return its value.

        Parameters
        ----------
        name, default, description
            As `Node.declare_parameter` takes them; the value may come from a parameters file or the command line.
        kind
            What values are taken: a type, ``Annotated[float, Interval(ge=..., le=...)]``, or ``Literal["a", "b"]``;
            None: the default's type. A whole number is taken where a floating-point number is wanted.
        read_only
            It is decided when the node starts, and never changed.

        Raises
        ------
        BadInput
            The given value has another type or lies outside the range.
        """
        if not self._node.has_parameter(name):
            kind = type(default) if kind is None else kind
            self._types[name] = TypeAdapter(kind)
            try:
                self._node.declare_parameter(name, default, _descriptor(kind, description, read_only))
            except InvalidParameterValueException as error:
                raise BadInput(str(error).partition("Reason: ")[2] or str(error)) from None
        return self[name]

    def require_known(self, prefix: str) -> None:
        """Raise `BadInput` where a value was given for a parameter ``<prefix>.<name>`` that is not declared."""
        given = {name for name in self._node._parameter_overrides if name.startswith(f"{prefix}.")}
        known = {name for name in self._types if name.startswith(f"{prefix}.")}
        if unknown := sorted(given - known):
            raise BadInput(f"There is no parameter {unknown[0]}: there are {', '.join(sorted(known)) or 'none'}.")

    def __getitem__(self, name: str) -> Any:
        """The present value of a declared parameter."""
        return self._types[name].validate_python(self._node.get_parameter(name).value, strict=True)

    def _check(self, changes: Sequence[Parameter]) -> SetParametersResult:
        """Callback of rclpy before parameters change, and when they are declared."""
        for change in changes:
            if change.name == "use_sim_time" and change.value:
                reason = "The nodes run on the machine's clock: without /clock their timers and heartbeats would stop."
                return SetParametersResult(successful=False, reason=reason)
            if change.name not in self._types:
                continue
            if self._node.has_parameter(change.name) and (reason := self._locked()):
                return SetParametersResult(successful=False, reason=reason)
            try:
                self._types[change.name].validate_python(change.value, strict=True)
            except ValidationError as error:
                reason = f"The parameter {change.name} is {change.value!r}: {error.errors()[0]['msg']}."
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)


def _descriptor(kind: Any, description: str, read_only: bool) -> ParameterDescriptor:
    """What `ros2 param describe` says; the type is dynamic so that 30 is taken where 30.0 is meant."""
    descriptor = ParameterDescriptor(description=description, read_only=read_only, dynamic_typing=True)
    if get_origin(kind) is Literal:
        descriptor.additional_constraints = f"One of {', '.join(map(repr, get_args(kind)))}."
    for limits in getattr(kind, "__metadata__", ()):
        if isinstance(limits, Interval):
            if kind.__origin__ is float:
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=float(limits.ge), to_value=float(limits.le))
                ]
            else:
                descriptor.integer_range = [IntegerRange(from_value=limits.ge, to_value=limits.le)]
    return descriptor
