"""Evaluation of trackers on the validation set, by which a training keeps its best network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exoactor_control.policy.spec import PolicySpec
from exoactor_control.training.anchored import Clip
from exoactor_control.training.environment import NOMINAL, Episode
from exoactor_control.training.references import load_prepared
from exoactor_control.training.rollouts import Act, Outcome, track_each
from exoactor_control.training.teachers import DISTURBED
from exoactor_core.files import save_bytes

_DISTURBED_ROUNDS = 2


class Validation:
    """Motions that are tracked from time to time, on the nominal and on disturbed robots; each adds a row to ``table``.

    ``paths`` are robot motions; ``table`` (CSV) is appended to.
    """

    def __init__(self, paths: Sequence[Path], spec: PolicySpec, table: Path, threads: int) -> None:
        motions, _ = load_prepared(paths)
        self._clips = [Clip.of(Episode.of_motion(motion, stand=25), 0, 0) for motion in motions.values()]
        self._spec, self._table, self._threads = spec, table, threads

    def measure(self, name: str, samples: int, act: Act, teacher_feedback: np.ndarray | None = None) -> float:
        """Evaluate a tracker with this name after so many samples; ``act`` and the feedback are as for `track_each`.

        Returns the mean reward over all robots; after a failure it is 0.
        """
        nominal, disturbed = (
            list(track_each(act, self._clips * rounds, self._spec, robots, self._threads, teacher_feedback))
            for robots, rounds in ((NOMINAL, 1), (DISTURBED, _DISTURBED_ROUNDS))
        )
        score = float(np.mean([outcome.reward for outcome in (*nominal, *disturbed)]))
        row = {"samples": samples, "tracker": name, "score": score}
        row |= {f"nominal_{k}": v for k, v in _figures(nominal).items()}
        row |= {f"disturbed_{k}": v for k, v in _figures(disturbed).items()}
        before = self._table.read_bytes() if self._table.exists() else (",".join(row) + "\n").encode()
        line = ",".join(f"{v:.5g}" if isinstance(v, float) else str(v) for v in row.values())
        save_bytes(self._table, before + f"{line}\n".encode())
        return score


def _figures(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Share of successes, mean reward, joint error (rad), and distance (m) at the end of those that succeeded."""
    ended = [outcome.position_error for outcome in outcomes if outcome.success]
    return {
        "success": float(np.mean([outcome.success for outcome in outcomes])),
        "reward": float(np.mean([outcome.reward for outcome in outcomes])),
        "joint_error": float(np.mean([outcome.joint_error for outcome in outcomes])),
        "position_error": float(np.mean(ended)) if ended else float("nan"),
    }
