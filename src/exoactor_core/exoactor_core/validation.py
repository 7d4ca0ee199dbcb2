"""Base of pydantic models that are plain data, and validation errors as one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from exoactor_core.errors import BadInput

_T = TypeVar("_T")


class FrozenModel(BaseModel):
    """Immutable data without unknown fields or non-finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def to_json(kind: type[_T], value: _T) -> str:
    """Serialise a value as JSON text, without fields that are None."""
    return TypeAdapter(kind).dump_json(value, exclude_none=True).decode()


def validated(kind: type[_T], data: Mapping[str, Any] | str | bytes, name: str) -> _T:
    """Check data, or JSON text, against a type, turning what is wrong into one sentence that begins with ``name``.

    Raises
    ------
    BadInput
        It is not valid; the message names the first place that is wrong.
    """
    try:
        if isinstance(data, str | bytes):
            return TypeAdapter(kind).validate_json(data)
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        where = ".".join(str(part) for part in first["loc"])
        more = f" (and {len(others)} more)" if others else ""
        said = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{name} is not valid{f' at {where}' if where else ''}: {said}{more}.") from None
