"""Options of the node ``task_server``."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval, Unit

from exoactor_core.options import BaseOptions, ReadOnly


class TaskServerOptions(BaseOptions):
    """Where runs are kept, and how long the task server waits for the nodes of the stages."""

    robot: Annotated[Literal["sim", "real"], ReadOnly()] = "sim"
    """What the controller drives."""
    runs: str = ""
    """Folder that takes the run folders; empty: ~/.exoactor/runs."""
    tries: Annotated[int, Interval(ge=0, le=20)] = 2
    """How often a task is tried again, with another video of its plan, where its rehearsal fails or a stage before it;
    never where a service makes the videos, which bills each."""
    server_timeout: Annotated[float, Interval(ge=0.0, le=86400.0), Unit("s")] = 10.0
    """Time until a stage node counts as absent."""
    silence_timeout: Annotated[float, Interval(ge=0.0, le=86400.0), Unit("s")] = 8.0
    """Time without a sign of life until a stage node counts as dead."""
