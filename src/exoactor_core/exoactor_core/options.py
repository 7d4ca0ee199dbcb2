"""Options of backends and parameters of nodes, each declared once with type, range, unit, default and help.

They are the fields of a class, each with a docstring::

    class Options(BaseOptions):
        fps: Annotated[float, Interval(ge=10.0, le=200.0), Unit("Hz")] = 50.0
        \"\"\"Frame rate of the robot's motion.\"\"\"

``--set`` on the command line, the ROS parameters with descriptors and ranges, config/exoactor.yaml and docs/options.md
come from these classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from annotated_types import Interval, MultipleOf, Unit
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import core_schema

from exoactor_core.errors import BadInput

Share = Annotated[float, Interval(ge=0.0, le=1.0)]
"""Option: a share of something, or a score."""

Seed = Annotated[int, Interval(ge=0, le=2**31 - 1)]
"""Option: random seed."""


@dataclass(frozen=True)
class OneOf:
    """Marks a text option with a fixed set of values that is not known to the type checker (unlike `Literal`)."""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Schema with which pydantic validates it."""
        return core_schema.literal_schema(list(self.names))


@dataclass(frozen=True)
class ReadOnly:
    """Marks a node parameter that is fixed when the node starts."""


class BaseOptions(BaseModel):
    """Base class of options: immutable, validated on construction, all with defaults.

    Raises
    ------
    BadInput
        A value has the wrong type or lies outside the range, or there is no such option.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, protected_namespaces=()
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            name, value = error.errors()[0]["loc"][0], error.errors()[0]["input"]
            fields = type(self).model_fields
            if name not in fields:
                raise BadInput(f"There is no option '{name}': there are {', '.join(fields) or 'none'}.") from None
            raise BadInput(f"The option {name} is {value!r}, but {allowed(fields[str(name)])} is needed.") from None


class Configurable:
    """Something with options, which are passed to its constructor as keyword arguments.

    A subclass with options defines the class ``Options`` and annotates ``options``. If it has to load something, its
    ``__init__`` does so after ``super().__init__(**options)``.
    """

    Options: ClassVar[type[BaseOptions]] = BaseOptions
    options: BaseOptions

    def __init__(self, **options: Any) -> None:
        self.options = self.Options(**options)


def allowed(field: FieldInfo) -> str:
    """The allowed values of an option, such as 'a number from 10 to 200 Hz'."""
    names = next((m.names for m in field.metadata if isinstance(m, OneOf)), None)
    if names is None and get_origin(field.annotation) is Literal:
        names = get_args(field.annotation)
    if names is not None:
        *others, last = (name or "empty" for name in names)
        return f"{', '.join(others)} or {last}"
    if field.annotation is bool:
        return "true or false"
    if field.annotation is str:
        return "text"
    text = "a whole number" if field.annotation is int else "a number"
    for mark in field.metadata:
        if isinstance(mark, Interval):
            text += f" from {mark.ge:.10g} to {mark.le:.10g}"
    text += "".join(f" {mark.unit}" for mark in field.metadata if isinstance(mark, Unit))
    return text + "".join(f", a multiple of {m.multiple_of}" for m in field.metadata if isinstance(m, MultipleOf))


def description(field: FieldInfo) -> str:
    """The help of an option, in one line."""
    return " ".join((field.description or "").split())
