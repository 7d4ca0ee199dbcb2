"""Split of the references into training, validation and test sets.

The three differ in family, and the test set also in source: the kinds of motion of DeepMimic's clips and the BVH files
are not trained on, and the random references of its families are made by functions that no other family uses. The
shared robot motions were all used to train and select the shipped tracker, and trackers that start from it have seen
them through it: they are a set of their own that says nothing about unseen motions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

from exoactor_core.files import save_json

PARTS = {
    "training": "asap_* kimodo_* twist2_* dm_walk* dm_stealthy_walk* task_* walk_* crouch_* hop_* jump_* mixed_*",
    "validation": "dm_jog* dm_punch* dm_dance* lunge_*",
    "test": "dm_run* dm_jump* dm_kick* dm_spin* bvh_* kick_*",
}
"""Patterns of file names: the robot motions of the shared data (asap, kimodo, twist2), people (DeepMimic's humanoid,
dm; BVH files), random tasks of the generator, and the families of `exoactor_control.training.whole_body`."""


def part_of(path: str | Path) -> str | None:
    """Part of the split that a reference belongs to, by its file name; None: none."""
    name = Path(path).name
    return next((part for part, patterns in PARTS.items() if any(fnmatch(name, p) for p in patterns.split())), None)


def trained_on(policy: Path) -> list[str] | None:
    """Patterns of the files that a tracker was trained on (``<tracker>.seen.json`` beside it); None: unknown."""
    path = _beside(policy)
    return json.loads(path.read_text()) if path.is_file() else None


def was_trained_on(policy: Path, path: str | Path) -> bool | None:
    """Whether a tracker was trained on a reference; None: unknown."""
    patterns = trained_on(policy)
    return None if patterns is None else any(fnmatch(Path(path).name, pattern) for pattern in patterns)


def write_trained_on(policy: Path, names: Iterable[str]) -> None:
    """Record beside a tracker what it was trained on."""
    save_json(_beside(policy), sorted(set(names)))


def _beside(policy: Path) -> Path:
    return policy.with_suffix(".seen.json")
