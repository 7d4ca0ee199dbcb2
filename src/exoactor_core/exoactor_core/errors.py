"""Errors by cause. Each message is a clear sentence for the user; any other exception that escapes is a bug.

A class stands for a cause. Its ``code``, added to the base of an action server (100 ... 500), is the error code of an
action, and its ``exit_code`` that of the command line. docs/troubleshooting.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar, overload


class ExoActorError(Exception):
    """Base class of all errors whose message is meant for the user."""

    code: ClassVar[int]
    exit_code: ClassVar[int]
    metrics: Mapping[str, Any] = MappingProxyType({})
    """Figures that are available despite the error, for programs that asked for JSON."""


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

    Subclasses are further causes for not carrying something out. ``output`` is the rejected result of the stage, for
    inspection; it does not go on.
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
    """Another task or goal is in progress."""

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
"""Error class for each code."""


def error_of(code: int, message: str) -> ExoActorError:
    """The error for an action's error code other than 0; unknown codes count as bugs."""
    return CAUSES.get(code % 100, Internal)(message)


def reason(error: BaseException) -> str:
    """Why something failed, in one line without a full stop; the error's type if it has no text.

    ``strerror`` is the text without the number in `OSError` and PyAV's errors.
    """
    lines = str(getattr(error, "strerror", None) or error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(" .:")


@contextmanager
def in_file(path: object, kind: str = "") -> Iterator[None]:
    """Prefix errors in a file's content with its name; with a ``kind`` also those of numbers and shapes."""
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
    """The error to show to the user; None if it is a bug.

    An `OSError` comes from the file system or the network: a full disk is not a bug.
    """
    if isinstance(error, ExoActorError):
        return error
    if not isinstance(error, OSError):
        return None
    kind = Missing if isinstance(error, ConnectionError | TimeoutError) else BadInput
    return kind(f"{error.filename}: {reason(error)}." if error.filename else f"{reason(error)}.")
