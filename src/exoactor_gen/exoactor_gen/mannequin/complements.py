"""The complements of a verb: each phrase of its clause becomes a detail of the movement, or is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from exoactor_core.errors import BadInput
from exoactor_gen.mannequin.details import in_range, unfit, with_amount, with_detail, with_limb, with_noun, with_number
from exoactor_gen.mannequin.grammar import Phrase
from exoactor_gen.mannequin.movement import HANDLED, KINDS, MOVES_FEET, START, Movement, category_of
from exoactor_gen.mannequin.references import References
from exoactor_gen.mannequin.vocabulary import (
    AT_AFTER,
    DIRECTION,
    OBJECT_AFTER,
    PACE,
    SIDE_FIRST,
    SLIGHT_AMOUNT,
    TOWARDS,
    UNDER,
    VERB_KIND,
)

_TO_PEOPLE = frozenset(("wave", "bow", "nod", "salute", "cheer", "clap", "high five", "look", "point"))
"""What is done to people, who are taken to stand in front."""
_ADDED: dict[tuple[str, str], tuple[str, Any]] = {
    ("everyone", "look"): ("direction", "forward"),
    ("away", "push"): ("direction", "forward"),
    ("away", "kick"): ("direction", "forward"),
    ("circle", "turn"): ("angle", 360.0),
    **{("there above", kind): ("direction", "up") for kind in ("look", "point", "reach")},
    **{("there below", kind): ("direction", "down") for kind in ("look", "point", "reach")},
}
"""The detail that a phrase of a sort adds to a movement of a kind."""
_SAID_ANYWAY = frozenset(
    (("again", "rise"), ("again", "place"), ("in place", "march"), ("in place", "turn"), ("in place", "jump"),
     ("broom", "sweep"), ("out", "reach"), ("moment", "stand"), ("there", "stand"),
     *(("everyone", kind) for kind in _TO_PEOPLE))
)  # fmt: skip
"""Sorts of phrases that may be said with a kind, and say nothing more."""
_CARRIED_LOW = ("pick up", "hold")
"""What is held stays before the body, so 'above the head' is not done."""


def filled(refs: References, movement: Movement, details: list[Phrase], verb: Phrase) -> Movement:
    """The movement with its details."""
    amounts = any(p.sort in ("amount", "deed", "slight") for p in details)
    clockwise = any(p.said.get("way", "").endswith("clockwise") for p in details)
    for phrase in sorted(details, key=lambda p: p.sort == "slight"):
        movement = _detail(refs, movement, phrase, verb, amounts)
    if movement.kind == "turn" and movement.angle and movement.count:
        movement = replace(movement, angle=in_range("angle", movement.angle * movement.count), count=None)
    if clockwise and movement.direction == "around" and movement.object and movement.side:
        movement = replace(movement, side="left" if movement.side == "right" else "right")  # it passes the other side
    return movement


def _detail(refs: References, movement: Movement, phrase: Phrase, verb: Phrase, amounts: bool) -> Movement:
    kind, sort = movement.kind, phrase.sort
    if sort == "amount":
        return with_amount(movement, phrase)
    if sort == "deed":
        return with_noun(movement, phrase)
    if sort == "number":
        return with_number(movement, phrase)
    if sort == "pace":
        return with_detail(movement, "pace", PACE[phrase.text], phrase)
    if sort == "limb":
        return with_limb(movement, refs.limb(phrase))
    if sort == "object":
        return object_of(refs, movement, phrase, verb)
    if sort in ("direction", "way"):
        return _direction(refs, movement, phrase, verb, amounts)
    if (sort, kind) in _ADDED:
        return with_detail(movement, *_ADDED[sort, kind], phrase)
    if sort == "slight" and kind in SLIGHT_AMOUNT and not (movement.distance or movement.angle or movement.count):
        return replace(movement, **SLIGHT_AMOUNT[kind])
    if sort == "over shoulder" and kind == "look":
        if "way" not in phrase.said:
            raise BadInput(f"'{verb.text} {phrase.text}' needs a side: say 'over your left shoulder'.")
        return with_detail(replace(movement, angle=75.0), "direction", phrase.said["way"], phrase)
    if sort == "out" and kind == "raise":
        return replace(movement, direction=movement.direction or "side")
    if sort == "everyone" and kind in ("carry", "pick up"):
        raise BadInput(
            f"Nobody is in the room for '{verb.text} {phrase.text}': say 'hand me the bottle', and it is held out, "
            "or how far it is carried."
        )
    if sort == "everyone" and kind == "walk":
        raise BadInput(
            f"Nobody is in the room for '{verb.text} {phrase.text}': say how far, for example 'walk one metre'."
        )
    if sort == "above" and "up" in KINDS[kind].directions and kind not in _CARRIED_LOW:
        return with_detail(movement, "direction", "up", phrase)
    if sort == "circle" and kind == "walk":
        return replace(with_detail(movement, "direction", "around", phrase), angle=360.0)
    if sort == "on one leg" and kind == "lift knee":
        return with_detail(movement, "side", "left" if phrase.said.get("side") == "right" else "right", phrase)
    if sort == START and kind == "walk" and movement.object is None:
        return replace(movement, object=START)
    if sort == "behind you" and kind == "sit" and movement.object:
        if refs.scene is not None:  # where it is imagined, it stands there
            refs.require_on("behind", movement.object, phrase, verb)
        return movement
    if sort == "there" and kind == "place" and refs.there():
        return with_detail(movement, "at", refs.there(), phrase)
    if (
        (sort, kind) in _SAID_ANYWAY
        or (sort == "with it" and kind in MOVES_FEET and any(a.kind in HANDLED for a in refs.movements))
        or (sort == "again" and any(a.kind == kind for a in refs.movements))
        or (sort == "own body" and kind == f"hands on {'head' if phrase.said['body'] == 'head' else 'hips'}")
        or (sort == "answer" and (kind, phrase.said["answer"]) in (("nod", "yes"), ("shake head", "no")))
    ):
        return movement
    raise unfit(verb.text, phrase)


def _direction(refs: References, movement: Movement, phrase: Phrase, verb: Phrase, amounts: bool) -> Movement:
    word = phrase.said.get("way") or phrase.said.get("aside") or "forward"
    if word == "back" and movement.kind == "walk" and phrase.text == "back" and refs.movements:
        turned = refs.movements[-1].kind == "turn" and (
            refs.movements[-1].direction == "around" or refs.movements[-1].angle == 180.0
        )
        been = any(a.kind in ("walk", "step", "carry") or (a.kind == "place" and a.at) for a in refs.movements)
        if been and not amounts:
            return _detail(refs, movement, Phrase(START, phrase.text), verb, amounts)
        if turned:
            word = "forward"
    if movement.kind == "place" and "front" in phrase.text:  # where things are put down
        return movement
    if movement.kind == "place" and word in ("left", "right") and movement.at:  # 'on the table on your left'
        refs.require_on(word, movement.at, phrase, verb)
        return movement
    if word in ("above", "high", "overhead") and movement.kind in _CARRIED_LOW:
        raise unfit(verb.text, phrase)
    side = word in ("left", "right") and "aside" not in phrase.said
    if side and movement.kind in SIDE_FIRST and movement.object is None:
        return with_detail(movement, "side", word, phrase)
    return with_detail(movement, "direction", DIRECTION[word], phrase)


def object_of(refs: References, movement: Movement, phrase: Phrase, verb: Phrase) -> Movement:
    """Read an object by the word before it: what is moved or touched, or what that stands on or is brought to."""
    kind, said = movement.kind, phrase.said
    beside = said.get("beside") or ("side" if "next" in said else "")
    if beside and kind == "place" and "side of" in phrase.text:  # on it, or beside it
        raise unfit(verb.text, phrase)
    if beside and kind == "place":
        movement, before = with_detail(movement, "direction", beside, phrase), "on"
    elif "front" in said:
        before = "to" if kind == "walk" else "in front of"
    elif beside and kind == "walk":
        movement, before = movement if "next" in said else with_detail(movement, "side", beside, phrase), "to"
    else:
        before = "beside" if beside else said.get("to") or phrase.said.get("preposition") or "-"
    if "one" in said:  # 'the blue one'
        if not (like := movement.object or refs.it(movement)):
            raise BadInput(f"It is not clear what '{phrase.text}' is: name the object.")
        said = {**said, "color": said["one"], "object": category_of(like)}
    name = said.get("object", "")
    name = refs.called(name, said, movement) or refs.it(movement)
    if not name:
        raise BadInput(f"It is not clear what 'it' is in '{verb.text} {phrase.text}': name the object.")
    if kind == "place" and before in ("in", "into", "inside") and not refs.contains(name):
        raise BadInput(f"Nothing can be put into the {name.replace('_', ' ')}: say 'on', or name a basket.")
    if kind == "sweep" and name == "floor" and before == "-" and movement.object is None:
        return movement
    if kind == "touch" and name == "floor" and movement.object is None:
        raise BadInput("The floor is not touched: say 'reach down with your right hand'.")
    if kind == "walk" and before in ("around", "round", "past"):
        movement = replace(with_detail(movement, "direction", "around", phrase), object=None, at=movement.object)
        before = "to"
    elif kind in ("walk", "step") and before in ("over", "through", *UNDER):
        way = {"over": "over", "through": "forward"}.get(before, "under")
        kind, before = "walk", "to"
        movement = replace(with_detail(movement, "direction", way, phrase), kind=kind)
    elif before == "-" and VERB_KIND.get(verb.text) in ("approach", "avoid", "circle", "face"):
        before = "to"
    elif kind == "walk" and movement.direction in (None, "forward"):  # 'walk forward to the door' is not through it
        movement = replace(movement, direction=None)
    if kind == "push" and movement.object and before in f"{TOWARDS} onto upon into".split():
        raise BadInput(
            f"The mannequin pushes straight ahead: say how far, as in 'push the {movement.object} one metre'."
        )
    if movement.object is None and before in OBJECT_AFTER.get(kind, "").split() and name != "floor":
        return replace(movement, object=name)
    if kind == "place" and movement.direction in ("left", "right") and not beside:  # 'on your left on the table'
        raise unfit(verb.text, phrase)
    if movement.at in (None, name) and before in AT_AFTER.get(kind, "").split():
        return replace(movement, at=name)
    if movement.at and movement.object is None and before == "-":
        return replace(movement, object=name)
    raise unfit(verb.text, phrase)
