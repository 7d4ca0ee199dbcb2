"""Pydantic's findings as one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from exoactor_core.errors import BadInput

_Model = TypeVar("_Model", bound=BaseModel)


def validated(kind: type[_Model], data: Mapping[str, Any] | str | bytes, name: str) -> _Model:
    """Check data, or JSON text, against a model, turning what is wrong into one sentence that begins with ``name``.

    Raises
    ------
    BadInput
        It is not valid; the message names the first place that is wrong.
    """
    try:
        if isinstance(data, str | bytes):
            return kind.model_validate_json(data)
        return kind.model_validate(data)
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        place = ".".join(str(part) for part in first["loc"])
        more = f" (and {len(others)} more)" if others else ""
        said = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{name} is not valid{f' at {place}' if place else ''}: {said}{more}.") from None
