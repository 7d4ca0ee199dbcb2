"""The errors a user is told about: each one clear sentence, with the exit code of the command line.

Anything else that escapes is a bug and may show a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, overload


class ExoActorError(Exception):
    """Base of every error whose message is meant for the user."""

    exit_code = 1
    figures: Mapping[str, Any] = MappingProxyType({})
    """What was found nevertheless, for a program that asked for JSON."""


class BadInput(ExoActorError):
    """The input is wrong: the message says what, where, and what to do."""

    exit_code = 2


class Missing(ExoActorError):
    """A model, file, device or peer is missing: the message says which, and how to get it."""

    exit_code = 3


class Refused(ExoActorError):
    """A video or motion was refused, or carrying it out failed: the message says why.

    ``output`` is what the stage made nevertheless, for the user to look at; it does not go on.
    """

    exit_code = 4

    def __init__(self, message: str, output: Any = None) -> None:
        super().__init__(message)
        self.output = output


class Cancelled(ExoActorError):
    """The user cancelled the work."""

    exit_code = 130


@overload
def user_error(error: ExoActorError | OSError) -> ExoActorError: ...
@overload
def user_error(error: BaseException) -> ExoActorError | None: ...
def user_error(error: BaseException) -> ExoActorError | None:
    """What the user is told of an error; None where it is a bug.

    An `OSError` comes from the file system or the network: a full disk is no bug.
    """
    if isinstance(error, ExoActorError):
        return error
    if not isinstance(error, OSError):
        return None
    reason = error.strerror or str(error) or type(error).__name__
    kind = Missing if isinstance(error, ConnectionError | TimeoutError) else BadInput
    return kind(f"{error.filename}: {reason}." if error.filename else f"{reason}.")
