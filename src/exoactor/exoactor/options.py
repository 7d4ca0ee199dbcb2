"""Options of the node ``task_server``."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval, Unit

from exoactor_core.options import BaseOptions, ReadOnly


class TaskServerOptions(BaseOptions):
    """Where runs are kept, and how long the task server waits for the stages' nodes."""

    robot: Annotated[Literal["sim", "real"], ReadOnly()] = "sim"
    """Robot that the controller drives."""
    runs: str = ""
    """Folder for the run folders; empty: ~/.exoactor/runs."""
    tries: Annotated[int, Interval(ge=0, le=20)] = 2
    """Number of retries, each with another video of the plan, of a task that fails in or before the rehearsal; videos
    of paid services are never made again."""
    server_timeout: Annotated[float, Interval(ge=0.0, le=86400.0), Unit("s")] = 10.0
    """Time after which a stage's node counts as absent."""
    silence_timeout: Annotated[float, Interval(ge=0.0, le=86400.0), Unit("s")] = 8.0
    """Time without a heartbeat after which a stage's node counts as dead."""
