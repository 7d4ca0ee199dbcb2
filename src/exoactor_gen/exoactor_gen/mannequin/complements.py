"""The complements of a verb: each phrase of its clause becomes a detail of the movement, or is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from exoactor_core.contacts import SIDES
from exoactor_core.errors import BadInput
from exoactor_core.everyday import COLORS
from exoactor_gen.mannequin.details import (
    DEEP_BOW,
    in_range,
    unfit,
    with_amount,
    with_detail,
    with_limb,
    with_noun,
    with_number,
)
from exoactor_gen.mannequin.grammar import Phrase
from exoactor_gen.mannequin.movement import (
    BESIDE,
    HANDLED,
    KINDS,
    MOVES_FEET,
    START,
    Movement,
    category_of,
    largest_angle,
)
from exoactor_gen.mannequin.references import References
from exoactor_gen.mannequin.vocabulary import (
    AT_AFTER,
    DIRECTION,
    LEVEL_ANGLE,
    OBJECT_AFTER,
    ON,
    PACE,
    SIDE_FIRST,
    SIZE,
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
    ("deep", "bow"): ("angle", DEEP_BOW),
    ("away", "step"): ("direction", "backward"),
    ("away", "turn"): ("direction", "around"),
    ("circle", "turn"): ("angle", 360.0),
    **{("there above", kind): ("direction", "up") for kind in ("look", "point", "reach")},
    **{("there below", kind): ("direction", "down") for kind in ("look", "point", "reach")},
}
"""The detail that a phrase of a sort adds to a movement of a kind."""
_SAID_ANYWAY = frozenset(
    (*(("again", kind) for kind in ("rise", "place", "close")), ("air", "kick"), ("air", "punch"),
     ("in place", "march"), ("in place", "turn"), ("in place", "jump"), ("in place", "stand"),
     ("broom", "sweep"), ("out", "reach"), ("moment", "stand"), ("there", "stand"),
     ("arms at rest", "stand"), ("arms at rest", "rise"),
     *(("slight", kind) for kind in ("nod", "wave", "dance")), ("deep", "squat"),
     *(("fully", kind) for kind in ("raise", "reach", "squat", "sit", "rise", "close", "lower", "stand")),
     *(("fully", kind) for kind in ("jump", "hop", "lift knee")),
     *((sort, kind) for sort in ("everyone", "manner") for kind in _TO_PEOPLE),
     *(("manner", kind) for kind in ("place", "sit", "knock", "dance")),
     ("like wings", "flap"), ("like wings", "raise"), ("flat", "touch"),
     *(("like a soldier", kind) for kind in ("salute", "stand", "march", "walk")),
     ("across", "wipe"), ("across", "sweep"),
     *(("before the body", kind) for kind in ("pick up", "hold", "carry", "clap", "cross arms")),
     ("before the chest", "clap"), ("before the chest", "cross arms"),
     ("together", "clap"), ("in place", "hop"), *(("upright", kind) for kind in ("pick up", "hold", "carry")),
     *(("unspilt", kind) for kind in HANDLED),
     *(("in turn", kind) for kind in (*HANDLED, "touch", "look", "point")))
)  # fmt: skip
"""Sorts of phrases that may be said with a kind, and say nothing more."""
_PAST = ("around", "round", "over", "past", "through", *UNDER)
"""Before what is walked past, over or under, which 'back' says no more of."""
_THERE = ("stand", "pick up", "touch")
"""What can be said to be done on the other side of what was walked around."""
_CARRIED_LOW = ("pick up", "hold")
"""What is held stays before the body, so 'above the head' is not done."""


def filled(refs: References, movement: Movement, details: list[Phrase], verb: Phrase) -> Movement:
    """The movement with its details."""
    amounts = any(p.sort in ("amount", "deed", "slight") for p in details)
    if movement.kind == "walk" and any(p.said.get("preposition") in _PAST for p in details):  # 'back under it'
        details = [p for p in details if p.text != "back"]
    clockwise = any(p.said.get("way", "").endswith("clockwise") for p in details)
    for phrase in sorted(details, key=lambda p: p.sort in ("slight", "out", "fully")):
        movement = _detail(refs, movement, phrase, verb, amounts)
    rounds = movement.count and not movement.angle and movement.direction in (None, "around")
    if movement.kind == "turn" and rounds and movement.object is None:  # 'rotate in place once'
        movement = replace(movement, angle=360.0, direction=None)
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
        if "for" in phrase.said and any(a.seconds for a in refs.movements[-1:]):  # 'wave for 3 seconds, then bow for 2'
            return with_amount(movement, replace(phrase, said={**phrase.said, "unit": "s"}))
        return with_number(movement, phrase)
    if sort == "pace":
        return with_detail(movement, "pace", PACE[phrase.text], phrase)
    if sort == "limb":
        return with_limb(movement, refs.limb(phrase))
    if sort == "object":
        return object_of(refs, movement, phrase, verb)
    if sort in ("direction", "way"):
        return _direction(refs, movement, phrase, verb, amounts)
    if sort == "gap":
        left = with_amount(Movement("walk"), replace(phrase, sort="amount")).distance
        return with_detail(movement, "gap", left, phrase)
    if (sort, kind) in _ADDED:
        return with_detail(movement, *_ADDED[sort, kind], phrase)
    read = _degree(movement, phrase, verb) or _place(refs, movement, phrase, verb)
    if read is None and not _says_no_more(refs, kind, phrase):
        raise unfit(verb.text, phrase)
    return read or movement


def _degree(movement: Movement, phrase: Phrase, verb: Phrase) -> Movement | None:
    """The movement with how far, how high, or on which leg it is done; None: the phrase says no such thing."""
    kind, sort = movement.kind, phrase.sort
    if sort == "slight" and kind in SLIGHT_AMOUNT:
        apart = ("distance", "angle", *(("count",) if kind in MOVES_FEET else ()))
        return None if any(getattr(movement, name) for name in apart) else replace(movement, **SLIGHT_AMOUNT[kind])
    if sort == "level" and kind == "raise":
        up = None if movement.direction == "up" else movement.direction
        return with_detail(replace(movement, direction=up), "angle", LEVEL_ANGLE[phrase.said["level"]], phrase)
    if sort in ("level", "before the chest") and kind in ("pick up", "hold", "carry"):
        if phrase.said.get("level") not in ("hip", "waist"):
            raise BadInput(f"What hands hold stays at waist height, not '{phrase.text}': leave that out.")
        return movement
    if sort == "fully" and kind == "reach" and {"high", "low"} & set(phrase.text.split()):
        return with_detail(movement, "direction", "up" if "high" in phrase.text else "down", phrase)
    if sort == "fully" and (kind == "bow" or (kind in ("look", "twist") and movement.direction)):
        forward = kind == "bow" and movement.direction not in SIDES
        return with_detail(movement, "angle", DEEP_BOW if forward else largest_angle(movement), phrase)
    if sort == "fully" and kind == "turn" and movement.direction == "around":
        return movement
    if sort == "above" and "up" in KINDS[kind].directions and kind not in _CARRIED_LOW:
        return with_detail(movement, "direction", "up", phrase)
    if sort == "over shoulder" and kind == "look":
        if "way" not in phrase.said:
            raise BadInput(f"'{verb.text} {phrase.text}' needs a side: say 'over your left shoulder'.")
        return with_detail(replace(movement, angle=75.0), "direction", phrase.said["way"], phrase)
    if sort == "behind you" and kind == "look":
        raise BadInput(f"A head does not turn that far for '{phrase.text}': say 'look over your left shoulder'.")
    if sort == "out" and kind == "raise":
        return replace(movement, direction=movement.direction or "side")
    if sort == "circle" and kind == "walk":
        return replace(with_detail(movement, "direction", "around", phrase), angle=360.0)
    if sort == "on one leg" and kind == "hop":
        return with_detail(movement, "side", phrase.said.get("side", "right"), phrase)
    if sort == "on one leg" and kind == "lift knee":
        return with_detail(movement, "side", "left" if phrase.said.get("side") == "right" else "right", phrase)
    return None


def _place(refs: References, movement: Movement, phrase: Phrase, verb: Phrase) -> Movement | None:
    """The movement with where it is done, which other phrases than objects say; None: the phrase says no such thing."""
    kind, sort = movement.kind, phrase.sort
    if sort in ("out", "again") and kind == "pick up":
        return _taken_out(refs, movement, phrase)
    if sort == "everyone" and kind in ("carry", "pick up", "walk"):
        instead = "say how far, for example 'walk one metre'."
        if kind != "walk":
            instead = "say 'hand me the bottle', and it is held out, or how far it is carried."
        raise BadInput(f"Nobody is in the room for '{verb.text} {phrase.text}': {instead}")
    if sort == START and kind == "walk" and movement.object is None:
        return replace(movement, object=START)
    if sort == "behind you" and kind == "sit" and movement.object:
        if refs.scene is not None:  # where it is imagined, it stands there
            refs.require_on("behind", movement.object, phrase, verb)
        return movement
    if sort == "between" and kind == "walk" and movement.object is None:
        one, two = _pair(refs, phrase)
        return replace(with_detail(movement, "direction", "between", phrase), object=one, at=two)
    if sort == "upright" and kind == "place":  # what is put beside something stands upright anyway
        return movement if movement.direction in BESIDE else replace(movement, direction="up")
    if sort == "there" and kind == "place" and refs.there():
        return with_detail(movement, "at", refs.there(), phrase)
    return None


def _taken_out(refs: References, movement: Movement, phrase: Phrase) -> Movement | None:
    """Taking something out of what it is in: where it was put, where it stands, or the drawer that was opened."""
    put = [a for a in refs.movements if a.kind == "place" and a.at and movement.object in (a.object, a.at)]
    if put and refs.contains(put[-1].at or ""):  # 'put it in the basket, then take it out again'
        return replace(movement, object=put[-1].object, at=put[-1].at)
    if phrase.sort != "out" or not movement.object:
        return None
    drawn = next((m.object for m in refs.movements[-1:] if m.kind == "open"), None)
    inside = (refs.stands_on(movement.object) if refs.scene else None) or drawn
    if not (inside and inside != "floor" and refs.like(inside).get("contains")):
        name = movement.object.replace("_", " ")
        raise BadInput(f"It is not said what the {name} is in: say 'take the {name} out of the basket'.")
    return with_detail(movement, "at", inside, phrase)


def _says_no_more(refs: References, kind: str, phrase: Phrase) -> bool:
    """Whether a phrase says of a movement only what is so anyway."""
    sort = phrase.sort
    return (
        (sort, kind) in _SAID_ANYWAY
        or (sort == "with it" and kind in MOVES_FEET and any(a.kind in HANDLED for a in refs.movements))
        or (sort == "moment" and "seconds" in KINDS[kind].takes)
        or (sort == "other side" and kind in _THERE and "around" in [a.direction for a in refs.movements[-1:]])
        or (sort == "again" and any(a.kind == kind or {a.kind, kind} <= {*HANDLED} for a in refs.movements))
        or (sort == "own body" and kind == f"hands on {'head' if phrase.said['body'] == 'head' else 'hips'}")
        or (sort == "answer" and (kind, phrase.said["answer"]) in (("nod", "yes"), ("shake head", "no")))
    )


def _pair(refs: References, phrase: Phrase) -> tuple[str, str]:
    """The two objects of 'between them', 'between the chairs' or 'between the table and the chair'."""
    said = phrase.said
    if "first" in said:
        each = [said[name].rpartition(" ") for name in ("first", "second")]
        names = tuple(
            refs.called(noun, {"color": color} if color in COLORS else {}, Movement("walk"))
            for color, noun in ((c, n) if c in COLORS else ("", f"{c} {n}".strip()) for c, _, n in each)
        )
    else:
        names = tuple(refs.them()) if "pair" in said else refs.several({**said, "many": "two"})
    if len(names) != 2 or names[0] == names[1]:
        raise BadInput(f"'{phrase.text}' takes two objects, not {', '.join(names)}.".replace("_", " "))
    return names[0], names[1]


def _direction(refs: References, movement: Movement, phrase: Phrase, verb: Phrase, amounts: bool) -> Movement:
    word = phrase.said.get("way") or phrase.said.get("aside") or "forward"
    if movement.kind in ("rise", "stand") and "straight" in phrase.said:
        return movement
    if word == "back" and movement.kind == "walk" and phrase.text == "back" and refs.movements:
        turned = refs.movements[-1].kind == "turn" and (
            refs.movements[-1].direction == "around" or refs.movements[-1].angle == 180.0
        )
        taken = HANDLED if refs.scene else ()  # who takes something that is given may have gone there
        been = any(a.kind in ("walk", "step", "carry", *taken) or (a.kind == "place" and a.at) for a in refs.movements)
        if been and not amounts:
            return _detail(refs, movement, Phrase(START, phrase.text), verb, amounts)
        if turned:
            word = "forward"
    if movement.kind == "place" and word == "back" and not movement.at:
        if at := refs.taken_from(movement.object):
            return replace(movement, at=at)
        raise BadInput(f"It is not said where the {movement.object} was: say what to put it on.".replace("_", " "))
    if movement.kind == "turn" and DIRECTION[word] == "backward":
        last = refs.movements[-1] if refs.movements else movement
        if last.kind == "turn" and last.object and not movement.angle:
            raise BadInput(f"It is not said how far '{verb.text} back' turns: say it in degrees.")
        if last.kind == "turn" and last.direction in SIDES:  # 'turn right and then back'
            back = "left" if last.direction == "right" else "right"
            return replace(with_detail(movement, "direction", back, phrase), angle=movement.angle or last.angle)
        word = "around"
    if movement.kind == "place" and "front" in phrase.text:  # where things are put down
        return movement
    if word in ("above", "high", "overhead") and movement.kind in _CARRIED_LOW:
        raise unfit(verb.text, phrase)
    side = word in ("left", "right") and ("aside" not in phrase.said or movement.kind == "hop")
    if side and movement.kind in SIDE_FIRST and movement.object is None:
        return with_detail(movement, "side", word, phrase)
    return with_detail(movement, "direction", DIRECTION[word], phrase)


def object_of(refs: References, movement: Movement, phrase: Phrase, verb: Phrase) -> Movement:
    """Read an object by the word before it: what is moved or touched, or what that stands on or is brought to."""
    movement, before = _before(movement, phrase, verb)
    name = _named(refs, movement, phrase, verb, before)
    kind, said = movement.kind, phrase.said
    if kind == "sweep" and name == "floor" and before == "-" and movement.object is None:
        return movement
    if kind == "touch" and name == "floor" and movement.object is None:
        raise BadInput("The floor is not touched: say 'reach down with your right hand'.")
    if kind == "turn" and before == "-" and VERB_KIND.get(verb.text) == "turn" and name != "floor":
        raise BadInput(f"The mannequin turns itself, not the {name}: say 'turn to the {name}', or 'push the {name}'.")
    if kind == "turn" and phrase.text.startswith("right "):  # 'turn right to the door'
        movement = with_detail(movement, "direction", "right", phrase)
    if kind == "rise":
        _rise_from(refs, name, before, phrase, verb)
        return movement
    if kind == "walk" and movement.direction == "backward" and before == "from":
        last = refs.movements[-1] if refs.movements else movement
        if name not in (last.object, last.at):
            raise BadInput(f"The person is not at the {name} yet: say 'walk to the {name}' before '{phrase.text}'.")
        return movement
    movement, before = _passed(movement, phrase, verb, before)
    kind = movement.kind
    to = name != "floor" and before in ("against", *TOWARDS.split())
    if to and kind in ("push", "nudge", "kick") and movement.object:
        return replace(with_detail(movement, "direction", "towards", phrase), at=name)
    if kind in ("push", "nudge") and movement.object and before != "on":
        raise BadInput(
            f"The mannequin pushes straight ahead, not '{phrase.text}': say how far, as in 'push the {movement.object} "
            "one metre'."
        )
    if name == "floor" and before in ("off", "from") and kind in ("lift knee", "jump", "hop"):
        return movement
    if kind == "walk" and movement.object and movement.direction is None and before in ON.split():
        return with_detail(movement, "at", name, phrase)  # where it stands
    if movement.object is None and before in OBJECT_AFTER.get(kind, "").split() and name != "floor":
        return replace(movement, object=name)
    if kind == "place":
        return _put_at(refs, movement, phrase, verb, name, before)
    if {"beside", "next"} & set(said) and movement.object and kind != "walk" and refs.scene is not None:
        refs.require_near(movement.object, name, phrase)
        return movement
    return _at(movement, phrase, verb, name, before)


def _before(movement: Movement, phrase: Phrase, verb: Phrase) -> tuple[Movement, str]:
    """The word before an object, '-' where there is none, and the movement with the side of it that is said."""
    kind, said = movement.kind, phrase.said
    part = said.get("part", "")
    if part and kind in ("place", "pick up"):
        return with_detail(movement, "part", part, phrase), said["preposition"]
    beside = said.get("beside") or ("side" if "next" in said else part if part in SIDES and kind == "walk" else "")
    if beside and kind == "place" and "side of" in phrase.text:  # on it, or beside it
        raise unfit(verb.text, phrase)
    if "behind" in said and kind != "walk":
        raise BadInput(
            f"The mannequin does not understand 'behind' with '{verb.text}': say 'to the left of' or 'to the right of'."
        )
    if beside and kind == "place":
        return with_detail(movement, "direction", beside, phrase), "on"
    if "front" in said:
        return movement, "to" if kind == "walk" else "in front of"
    if beside and kind == "walk":
        return movement if "next" in said else with_detail(movement, "side", beside, phrase), "to"
    if beside or "away" in said:
        return movement, "beside" if beside else "away"
    return movement, said.get("to") or said.get("preposition") or "-"


def _named(refs: References, movement: Movement, phrase: Phrase, verb: Phrase, before: str) -> str:
    """The name of the object that a phrase means."""
    said = phrase.said
    if "one" in said or "another" in said:  # 'the blue one', 'the other one'
        if not (like := movement.object or (refs.alike(said.get("one", "")) if before == "-" else refs.it(movement))):
            raise BadInput(f"It is not clear what '{phrase.text}' is: name the object.")
        which = "size" if said.get("one") in SIZE else "color"
        meant = {which: said["one"]} if "one" in said else {"other": said["another"]}
        said = {**said, **meant, "object": category_of(like)}
    name = refs.one_of(said["any"]) if "any" in said else said.get("object", "")
    name = refs.called(name, said, movement) or refs.it(movement, before in ("in", "into", "inside"))
    if not name:
        raise BadInput(f"It is not clear what 'it' is in '{verb.text} {phrase.text}': name the object.")
    return name


def _passed(movement: Movement, phrase: Phrase, verb: Phrase, before: str) -> tuple[Movement, str]:
    """A walk around, over, under or through an object, and the word before what is walked or turned to."""
    kind = movement.kind
    if kind == "walk" and ("behind" in phrase.said or before in ("around", "round", "past")):
        around = with_detail(movement, "direction", "around", phrase)
        return replace(around, object=None, at=movement.object), "to"
    if kind in ("walk", "step") and before in ("over", "through", *UNDER):
        way = {"over": "over", "through": "forward"}.get(before, "under")
        return replace(with_detail(movement, "direction", way, phrase), kind="walk"), "to"
    if before == "-" and VERB_KIND.get(verb.text) in ("approach", "avoid", "circle", "face"):
        return movement, "to"
    if kind == "walk" and movement.direction in (None, "forward"):  # 'walk forward to the door' is not through it
        return replace(movement, direction=None), before
    return movement, before


def _put_at(refs: References, movement: Movement, phrase: Phrase, verb: Phrase, name: str, before: str) -> Movement:
    """Read where something is put: on, into or beside an object, which may stand on another one."""
    beside = {"beside", "next"} & set(phrase.said)
    if "part" in phrase.said and not refs.like(name).get("supports", True):
        if movement.part == "middle" or refs.contains(name):
            raise unfit(verb.text, phrase)
        movement, beside = replace(movement, part=None, direction=movement.part), {"beside"}
    if before == "at" and category_of(name) != "table":  # 'at the table' is on it
        movement, before = with_detail(movement, "direction", "side", phrase), "on"
    if before in ("in", "into", "inside") and not refs.contains(name):
        raise BadInput(f"Nothing can be put into the {name.replace('_', ' ')}: say 'on', or name a basket.")
    if beside and movement.at == "floor" and refs.like(name).get("supports"):
        return replace(movement, at=name)  # 'on the floor next to the table'
    if beside and movement.at not in (None, "floor") and refs.is_on(name, movement.at or ""):
        return replace(movement, at=name)  # 'on the table to the left of the cup'
    neighbour = movement.at if movement.direction in BESIDE and before in ON.split() else None
    if neighbour and refs.is_on(neighbour, name):
        return movement  # 'to the left of the cup on the table'
    if beside and movement.at not in (None, name) and refs.contains(movement.at or ""):
        refs.require_near(movement.at or "", name, phrase)
        return replace(movement, direction=None)
    if movement.direction in ("left", "right") and not beside:  # 'on your left on the table'
        raise unfit(verb.text, phrase)
    return _at(movement, phrase, verb, name, before)


def _at(movement: Movement, phrase: Phrase, verb: Phrase, name: str, before: str) -> Movement:
    """The movement with an object on which, or to which, it is done, or else as what it is done to."""
    if movement.at in (None, name) and before in AT_AFTER.get(movement.kind, "").split():
        return replace(movement, at=name)
    if movement.at and movement.object is None and before == "-":
        return replace(movement, object=name)
    raise unfit(verb.text, phrase)


def _rise_from(refs: References, name: str, before: str, phrase: Phrase, verb: Phrase) -> None:
    """Check that who gets up from something sits on it."""
    if before != "from":
        raise unfit(verb.text, phrase)
    sat = [a.object or name for a in refs.movements if a.kind == "sit"]
    if name not in sat[-1:]:
        where = "stays on its feet" if name == "floor" else f"does not sit on the {name}"
        raise BadInput(f"The mannequin {where}: leave '{verb.text} {phrase.text}' out, or say 'sit down' before.")
