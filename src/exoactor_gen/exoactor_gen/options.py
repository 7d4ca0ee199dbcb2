"""What the backends' options have in common."""

from __future__ import annotations

import json
from typing import Any

from exoactor_core.errors import BadInput


def json_object(extra: str, example: str) -> dict[str, Any]:
    """Read the option ``extra``, a JSON object or nothing; raises `BadInput`, with an example, where it is none."""
    try:
        read = json.loads(extra) if extra.strip() else {}
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise BadInput(f"The option extra is no JSON object: write it like {example}.")
    return read


def shifted(seed: int, attempt: int) -> int:
    """The seed of the attempt that has this number; services and PyTorch take 31 bits."""
    return (seed + attempt) % 2**31
