"""ROS parameters with type, range and description; setting one takes effect or is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from annotated_types import Interval
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from exoactor_core.errors import BadInput
from exoactor_core.options import BaseOptions, ReadOnly, allowed, description

OptionsT = TypeVar("OptionsT", bound=BaseOptions)


class Parameters:
    """Declares a node's parameters and checks every change.

    ``locked`` returns a sentence on why no parameter may be changed now; empty: changes are allowed.
    """

    def __init__(self, node: Node, locked: Callable[[], str] = lambda: "") -> None:
        self._node, self._locked = node, locked
        self._types: dict[str, TypeAdapter] = {}
        node.add_on_set_parameters_callback(self._check)

    def declare(self, name: str, default: Any, description: str, kind: Any = None, *, read_only: bool = False) -> Any:
        """Declare a parameter, once, and return its value, which may come from a parameters file or the command line.

        ``kind`` describes the allowed values: a type, ``Annotated[float, Interval(ge=..., le=...)]``, or
        ``Literal["a", "b"]``; None: the default's type. Integers are accepted for floats. A ``read_only`` parameter is
        fixed when the node starts.

        Raises
        ------
        BadInput
            The given value is invalid.
        """
        if not self._node.has_parameter(name):
            kind = type(default) if kind is None else kind
            self._types[name] = TypeAdapter(kind)
            try:
                self._node.declare_parameter(name, default, _descriptor(kind, description, read_only))
            except InvalidParameterValueException as error:
                raise BadInput(str(error).partition("Reason: ")[2] or str(error)) from None
        return self[name]

    def declare_options(self, defaults: BaseOptions, prefix: str = "") -> None:
        """Declare the options of a class, with these defaults, as parameters (once).

        With a ``prefix``, which precedes each name and a dot, values for unknown options are errors.

        Raises
        ------
        BadInput
            A given value is invalid, or there is no such option.
        """
        for name, field in type(defaults).model_fields.items():
            kind = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            read_only = any(isinstance(mark, ReadOnly) for mark in field.metadata)
            self.declare(_joined(prefix, name), getattr(defaults, name), description(field), kind, read_only=read_only)
        if not prefix:
            return
        given = {name for name in self._node._parameter_overrides if name.startswith(f"{prefix}.")}
        known = {name for name in self._types if name.startswith(f"{prefix}.")}
        if unknown := sorted(given - known):
            raise BadInput(f"There is no parameter {unknown[0]}: there are {', '.join(sorted(known)) or 'none'}.")

    def options(self, kind: type[OptionsT], prefix: str = "") -> OptionsT:
        """The current values of declared options."""
        return kind(**{name: self[_joined(prefix, name)] for name in kind.model_fields})

    def __getitem__(self, name: str) -> Any:
        """The current value of a declared parameter."""
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


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _descriptor(kind: Any, description: str, read_only: bool) -> ParameterDescriptor:
    """Descriptor for `ros2 param describe`; the type is dynamic so that 30 is accepted for 30.0."""
    descriptor = ParameterDescriptor(description=description, read_only=read_only, dynamic_typing=True)
    field = FieldInfo.from_annotation(kind)
    descriptor.additional_constraints = allowed(field)
    for limits in field.metadata:
        if isinstance(limits, Interval):
            low: Any = limits.ge
            high: Any = limits.le
            if field.annotation is float:
                descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
            else:
                descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
    return descriptor
