"""Publishing a sequence frame by frame, repeatedly, while there are subscribers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node


class Replay:
    """Calls ``publish`` with one frame after the other, and starts over at the end.

    ``watched`` says whether anyone subscribes; otherwise nothing is computed.
    """

    def __init__(self, node: Node, publish: Callable[[Any], None], watched: Callable[[], bool] = lambda: True) -> None:
        self._publish, self._watched = publish, watched
        self._make: Callable[[], Iterable[Any]] | None = None
        self._frames: Iterator[Any] = iter(())
        self._timer = node.create_timer(
            1.0, self._tick, callback_group=MutuallyExclusiveCallbackGroup(), autostart=False
        )

    def show(self, make: Callable[[], Iterable[Any]], rate: float) -> None:
        """Show the frames that ``make`` returns, ``rate`` per second; it is called at the start of each round."""
        self._make, self._frames = make, iter(())
        self._timer.timer_period_ns = round(1e9 / rate)
        self._timer.reset()

    def _tick(self) -> None:
        if self._make is None or not self._watched():
            return
        frame = next(self._frames, None)
        if frame is None:
            self._frames = iter(self._make())
            frame = next(self._frames, None)
        if frame is not None:
            self._publish(frame)
