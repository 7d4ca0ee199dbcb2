"""Optional libraries, which `make extras` installs and the default pipeline does not need."""

from __future__ import annotations

import importlib
from typing import Any

from exoactor_core.errors import Missing


def optional_import(name: str, needed_by: str) -> Any:
    """Import a module of a library in scripts/requirements-extras.txt.

    Raises `Missing`, with a sentence that begins with ``needed_by``, if it is not installed or broken.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing_extra(needed_by, name.partition(".")[0], error) from None


def missing_extra(needed_by: str, names: str, error: ImportError) -> Missing:
    """Return the error for missing libraries: 'NEEDED_BY needs NAMES, ...'."""
    return Missing(f"{needed_by} needs {names}, which cannot be loaded ({error}): run 'make extras'.")
