"""Errors by cause. Each one's message is a clear sentence for the user; anything else that escapes is a bug.

A class stands for a cause: its ``code``, added to the base of an action server (100 ... 500), is the error code of an
action, and its ``exit_code`` the command line's. docs/troubleshooting.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, overload


class ExoActorError(Exception):
    """Base of every error whose message is meant for the user."""

    code: ClassVar[int]
    exit_code: ClassVar[int]
    metrics: Mapping[str, Any] = MappingProxyType({})
    """What was found nevertheless, for a program that asked for JSON."""


class Internal(ExoActorError):
    """A bug."""

    code = 1
    exit_code = 1


class BadInput(ExoActorError):
    """The input is wrong: the message says what, where, and what to do."""

    code = 2
    exit_code = 2


class Missing(ExoActorError):
    """A dependency (library, model, file, key, device, peer) is missing: the message says which, and how to get it."""

    code = 3
    exit_code = 3


class Refused(ExoActorError):
    """A plan, image, video or motion was not accepted: by a judge, a limit, a budget, a service or an operator.

    Subclasses name the other causes for which something was not carried out. ``output`` is what the stage made
    nevertheless, for the user to look at; it does not go on.
    """

    code = 4
    exit_code = 4

    def __init__(self, message: str, output: Any = None) -> None:
        super().__init__(message)
        self.output = output


class Cancelled(ExoActorError):
    """The user cancelled the work."""

    code = 5
    exit_code = 130


class UnsafeMotion(Refused):
    """The motion is not fit for the robot: it jumps, lacks support, leaves the area, or was not rehearsed."""

    code = 6


class TrackingFailed(Refused):
    """The robot fell or strayed from the motion: in the rehearsal, or in reality."""

    code = 7


class Busy(Refused):
    """Another task or goal is in work."""

    code = 8


class ServiceFailed(Refused):
    """A hosted service, a model or an external program failed, or its answer cannot be used."""

    code = 9


class RobotNotReady(Refused):
    """The robot was stopped, is not on its feet, is in another state or mode, or obeys another controller."""

    code = 10


CAUSES: dict[int, type[ExoActorError]] = {
    cause.code: cause for cause in (*ExoActorError.__subclasses__(), *Refused.__subclasses__())
}
"""Class of each code."""


def error_of(code: int, message: str) -> ExoActorError:
    """The error that an action's error code, other than 0, stands for; what no server of ours gives is a bug."""
    return CAUSES.get(code % 100, Internal)(message)


def reason(error: BaseException) -> str:
    """Why something failed, in one line without its full stop; the error's type where it has no text.

    ``strerror`` is what `OSError` and PyAV's errors call the text without the number.
    """
    lines = str(getattr(error, "strerror", None) or error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(" .:")


@contextmanager
def in_file(path: object, kind: str = "") -> Iterator[None]:
    """Put a file's name before what is wrong with its content; with a ``kind`` also of numbers that make none."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    except (TypeError, ValueError) as error:
        if not kind:
            raise
        raise BadInput(f"{path} is not a {kind}: {error}.") from None


@overload
def user_error(error: ExoActorError | OSError) -> ExoActorError: ...
@overload
def user_error(error: BaseException) -> ExoActorError | None: ...
def user_error(error: BaseException) -> ExoActorError | None:
    """The message that the user sees of an error; None where it is a bug.

    An `OSError` comes from the file system or the network: a full disk is no bug.
    """
    if isinstance(error, ExoActorError):
        return error
    if not isinstance(error, OSError):
        return None
    kind = Missing if isinstance(error, ConnectionError | TimeoutError) else BadInput
    return kind(f"{error.filename}: {reason(error)}." if error.filename else f"{reason(error)}.")
