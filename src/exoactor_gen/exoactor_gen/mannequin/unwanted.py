"""Whether what an instruction says not to do is done all the same by what else it says."""

from __future__ import annotations

from exoactor_gen.mannequin.movement import ARMS_USED, HANDLED, MOVES_FEET, Movement
from exoactor_gen.mannequin.objects import usual_side

_GOES = frozenset(("walk", "step", "carry"))
"""What is walking, whatever it is called."""
_BENDS = frozenset(("bow", "squat", "sit", "jump", "lunge"))
"""What lowers the body."""
_APART = frozenset(("walk", "turn", "look", "point", "sit"))
"""What is done to objects without a hand on them."""


def is_done_by(unwanted: Movement, done: Movement) -> bool:
    """Whether a movement is, or includes, an unwanted one; so is one of which it is not known."""
    same = unwanted.kind == done.kind or {unwanted.kind, done.kind} <= _GOES
    if same and all(_alike(unwanted, done, name) for name in ("object", "at", "side", "direction", *_AMOUNTS)):
        return True
    on_objects = bool(done.objects) or done.kind == "sit"
    if unwanted.kind in MOVES_FEET and on_objects and done.kind not in _APART - {"sit"}:  # one goes and turns there
        return unwanted.object is None or unwanted.object in done.objects
    if unwanted.kind in _BENDS:
        return done.kind in _BENDS - {unwanted.kind} or (on_objects and done.kind not in _APART)
    if unwanted.kind in ("raise", "lower"):
        return done.kind in ARMS_USED - {unwanted.kind}
    held, touched = unwanted.kind in ("hold", "pick up"), unwanted.kind == "touch"
    on_it = done.object is not None and unwanted.object in (None, done.object)
    return (
        on_it
        and _alike(unwanted, done, "side")
        and (done.kind in HANDLED if held else touched and done.kind not in _APART)
    )


_AMOUNTS = ("distance", "angle", "count", "seconds")


def _alike(unwanted: Movement, done: Movement, name: str) -> bool:
    """Whether a detail of what is done may be that of what is unwanted."""
    given = getattr(unwanted, name)
    if given is None:
        return True
    if name == "side":
        return "both" in (given, side := usual_side(done)) or given == side
    if name == "direction":
        return given == (done.direction or "forward")
    return getattr(done, name) in (None, given)
