"""Tracking each clip once, with many simulated robots at once: to evaluate a tracker, not to train one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from exoactor_control.policy.spec import PolicySpec
from exoactor_control.reference.trajectory import Trajectory
from exoactor_control.training.anchored import AnchoredRobots, Clip
from exoactor_control.training.environment import DomainRandomization, Episode
from exoactor_control.training.student import JOINTS
from exoactor_core.robot import STANDING

Act = Callable[[AnchoredRobots], np.ndarray]
"""Robots -> raw actions (N, 29)."""


def as_teacher(run: Callable[[np.ndarray], np.ndarray]) -> Act:
    """Give a tracker (observations (N, M) -> raw actions (N, 29)) the teacher's observation."""
    return lambda robots: run(robots.clean_now())


@dataclass(frozen=True)
class Outcome:
    """Result for one clip."""

    clip: int
    """Its index."""
    success: bool
    """By the rule of `AnchoredRobots.step`, from the first frame to the last."""
    reward: float
    """Mean over the clip's frames; those after a failure count as 0."""
    joint_error: float
    """rad, mean until the end or failure."""
    position_error: float
    """m, horizontal, at the end or failure."""


def track_each(
    act: Act,
    clips: Sequence[Clip],
    spec: PolicySpec,
    randomization: DomainRandomization,
    threads: int,
    teacher_feedback: np.ndarray | None = None,
    robots: int = 96,
) -> Iterator[Outcome]:
    """Track each clip once, from its beginning; outcomes come as the clips end.

    ``act`` drives so many robots at once; whenever one finishes its clip, it takes the next one, the longest clips
    first. ``teacher_feedback`` (29,) is that of a teacher to which ``act`` passes `AnchoredRobots.clean_now`.
    """
    lengths = np.array([len(clip.episode) for clip in clips])
    order = iter(np.argsort(-lengths, kind="stable").tolist())
    idle = Clip.of(Episode.from_trajectory(Trajectory.standing(STANDING, 1.0)), -1, 0)
    count = min(robots, len(clips))
    taken = np.full(count, -1)

    def draw(i: int) -> Clip:
        taken[i] = next(order, -1)
        return clips[taken[i]] if taken[i] >= 0 else idle

    feedback = np.zeros(JOINTS) if teacher_feedback is None else teacher_feedback
    # every clip counts as the first teacher's, whose feedback this is
    many = AnchoredRobots(count, draw, spec, randomization, 0, threads, feedback[None], 0.0)
    reward, joint_error, frames = (np.zeros(count) for _ in range(3))
    while (taken >= 0).any():
        _, earned, failed, over = many.step(act(many))
        reward += np.where(failed, 0.0, earned)
        joint_error += np.abs(many.reference("mimic")[:, 6:] - many.qpos[:, 7:]).mean(axis=1)
        frames += 1
        ended = failed | over
        if not ended.any():
            continue
        away = np.linalg.norm(many.errors()[1], axis=1)
        for i in np.flatnonzero(ended & (taken >= 0)):
            k = int(taken[i])
            yield Outcome(k, not failed[i], reward[i] / lengths[k], joint_error[i] / frames[i], float(away[i]))
        many.restart(ended)
        reward[ended] = joint_error[ended] = frames[ended] = 0.0
