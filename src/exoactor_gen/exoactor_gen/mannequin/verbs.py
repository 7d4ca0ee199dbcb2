"""Which kind of movement a verb names, together with what follows it."""

from __future__ import annotations

from dataclasses import replace

from exoactor_core.contacts import SIDES
from exoactor_core.errors import BadInput
from exoactor_core.everyday import EVERYDAY
from exoactor_gen.mannequin.details import unfit, with_amount
from exoactor_gen.mannequin.grammar import Clause, Phrase
from exoactor_gen.mannequin.movement import KINDS, MOVES_FEET, START, Movement, category_of
from exoactor_gen.mannequin.objects import LOOSE, usual_side
from exoactor_gen.mannequin.vocabulary import (
    AT_AFTER,
    DIRECTION,
    FOOT_WORDS,
    HAND_WORDS,
    HEAD_WORDS,
    NOUN_KIND,
    SIDE_FIRST,
    SYNONYM,
    TRUNK_WORDS,
    UNITS,
    VERB_KIND,
    quantity,
)

TRANSITIVE = frozenset(
    ("touch", "carry", "hold", "place", "open", "close", "wipe", "pick up", "raise", "lower", "push", "kick", "nudge")
)
"""Kinds of verbs after which stands what is moved or touched."""


def implied_verb(clause: Clause, last: str) -> str:
    """The verb that an amount implies where none is said and the last movement does not take it; empty: none."""
    takes = KINDS[last].takes if last else frozenset[str]()
    if last and clause.separator == "," and last not in MOVES_FEET | {"stand"}:  # 'kick it, two metres'
        return ""
    said = {p.said.get("unit") for p in clause.phrases if p.sort == "amount"}
    units = {name for name, units in UNITS.items() if said & set(units)}
    if {"distance", "steps"} & units and "distance" not in takes:
        return "walk"
    return "turn" if "angle" in units and "angle" not in takes else ""


def is_moved(phrase: Phrase) -> bool:
    """Whether a phrase says what is moved or touched, rather than where to or with what."""
    return (phrase.sort == "object" and is_bare(phrase)) or (phrase.sort == "limb" and not phrase.is_means)


def verb_of(clause: Clause) -> Phrase:
    """What names the movement of a clause; raises `BadInput` where there are several."""
    verb, *more = clause.verbs
    if more and verb.sort == "verb" and more[0].sort == "deed":  # 'turn a quarter turn', 'walk two steps'
        kind = NOUN_KIND[more[0].said.get("noun", "turn")]
        pairs = ({"walk", "step"}, {"back up", "step"}, {"carry", "step"}, {"spin", "turn"})
        if kind == VERB_KIND[verb.text] or {kind, VERB_KIND[verb.text]} in pairs:
            more = more[1:]
    if more:
        raise BadInput(
            f"The mannequin does not understand '{more[0].text}' after '{verb.text}': join actions with 'and' or "
            "'then'."
        )
    return verb


def kind_by_details(kind: str, verb: Phrase, details: list[Phrase], source: Phrase | None) -> tuple[str, list[Phrase]]:
    """The kind of movement that a verb with its details means, and the details that are left of it."""
    limb = next((p for p in details if p.sort == "limb" and not p.is_means), None)
    if kind == "walk" and limb and verb.text.startswith("mov"):
        kind = _moved_limb(limb, details)
    if verb.text.startswith("turn your back") and details:  # 'turn your back to the table'
        raise unfit(verb.text, details[0])
    bare = next((p for p in details if p.sort == "object" and is_bare(p)), None)
    if bare and kind in ("push", "punch") and SYNONYM.get(name := bare.said.get("object", ""), name) == "button":
        kind = "touch"  # 'push the button'
    if bare and ((kind == "stand" and verb.text.startswith("stand")) or kind == "return"):
        kind = "place"  # 'stand the bottle on the table', 'return it to the table'
    if kind in ("place", "carry") and limb and any(p.said.get("way") == "down" for p in details):
        kind, details = "lower", [p for p in details if p.said.get("way") != "down"]
    if kind in ("carry", "take") and not bare and limb and limb.said.get("part") in HAND_WORDS and not limb.is_means:
        kind = "raise"  # 'bring both arms forward'
    if kind == "rise" and limb and limb.said.get("part") in HAND_WORDS:  # 'rise your hand'
        kind = "raise"
    arms = HAND_WORDS if kind == "circle" else ("arm", "arms") if verb.text.startswith("rotat") else ()
    if limb and limb.said.get("part") in arms:  # 'rotate your arms'
        kind = "circle arms"
    if kind == "lower" and bare and any(p.sort == "object" and not is_bare(p) for p in details):
        kind = "place"  # 'lower the box to the floor'
    if kind == "step" and any({"to", "next", "behind"} & set(p.said) or is_around(p) for p in details):
        kind = "walk"  # 'step up to the table'
    if kind == "place" and verb.text.startswith("rest") and not any(p.sort in ("object", "limb") for p in details):
        kind = "stand"
    if kind == "lean":
        kind = "bow"
        if not any(p.sort in ("amount", "number", "slight", "fully") for p in details):
            details = [*details, Phrase("slight", "a bit")]
    if kind == "return":
        kind, details = "walk", details or [Phrase(START, "return")]
    if kind in ("push", "knock") and source and source.said.get("preposition") == "off":
        kind = "sweep"
    return kind, details


def _moved_limb(limb: Phrase, details: list[Phrase]) -> str:
    """The kind of 'move' by what is moved; raises `BadInput` where it is not said which way."""
    part = limb.said.get("part")
    if not any(p.sort in ("direction", "way", "above", "level") for p in details):
        raise BadInput(f"It is not said which way to move '{limb.text}': say for example 'raise your right arm'.")
    if part in HAND_WORDS:
        return "place"
    if part in HEAD_WORDS:
        return "look"
    if part in FOOT_WORDS:
        return "raise" if any(p.said.get("way") == "up" for p in details) else "step"
    raise unfit("move", limb)


def opened(kind: str, verb: Phrase, details: list[Phrase]) -> Movement:
    """The bare movement of a verb, which may depend on what follows it."""
    objects = [p for p in details if p.sort == "object"]
    limbs = [p for p in details if p.sort == "limb" and p.said.get("part") in HAND_WORDS]
    second = objects[1].said if len(objects) > 1 else {}
    if kind in ("walk", "step") and any(p.sort == "in place" for p in details):
        return Movement("march")
    if kind == "step" and verb.text.startswith("side"):
        return Movement("step", direction="side")
    body = next((p.said["body"] for p in details if p.sort == "own body"), "")
    if kind == "touch" and any(p.said.get("part") == "head" for p in details):
        return Movement("hands on head")
    if kind in ("place", "hold") and limbs and body:
        return Movement("hands on head" if body == "head" else "hands on hips")
    if kind in ("place", "hold") and limbs and not limbs[0].is_means:
        return Movement("touch" if objects else "raise")
    moved = kind == "walk" and verb.text.startswith("mov") and objects and is_bare(objects[0])
    if moved and "to" in second and category_of(objects[0].said.get("object", "box")) not in LOOSE:
        return Movement("push")  # 'move the chair to the table'
    if kind == "take" or moved or verb.text.startswith(("transfer", "relocat")):
        if "to" in second:
            name = SYNONYM.get(name := second.get("object", ""), name)
            like = EVERYDAY.get(name)
            put = kind != "take" and (name == "floor" or (like and (like.supports or like.contains)))
            return Movement("place" if put else "carry")
        if kind == "take":
            return Movement("pick up", direction="up")
        return Movement("place" if second else "push")
    if kind == "pick up" and (" up" in verb.text or verb.text == "pickup"):
        return Movement(kind, direction="up")
    if kind == "open" and limbs and not objects:
        return Movement("raise", direction="side")
    if kind == "raise" and objects and is_bare(objects[0]):
        put = "to" in second or second.get("preposition") in AT_AFTER["place"].split()
        return Movement("place" if put else "pick up")
    if kind == "push" and any(p.said.get("part") in FOOT_WORDS for p in details):
        return Movement("nudge")
    if by_part := _opened_by_part(kind, details):
        return by_part
    if verb.text.startswith("stretch") and not details:
        return Movement("reach", side="both", direction="up")
    if kind == "spin" and any(p.sort == "deed" or p.said.get("unit") in UNITS["angle"] for p in details):
        return Movement("turn")
    return {
        "approach": Movement("walk"),
        "fetch": Movement("pick up"),
        "avoid": Movement("walk", direction="around"),
        "face": Movement("turn"),
        "turn back": Movement("turn", direction="around"),
        "spin": Movement("turn", angle=360.0),
        "back up": Movement("walk", direction="backward"),
        "circle": Movement("walk", direction="around", angle=360.0),
        "spread": Movement("raise", side=None if limbs else "both", direction="side"),
    }.get(kind) or Movement(kind)


def _opened_by_part(kind: str, details: list[Phrase]) -> Movement | None:
    """The bare movement of a part of the body that a verb is said of: 'bend your knees', 'turn your head'."""
    parts = {p.said.get("part") for p in details}
    aside = any(DIRECTION.get(p.said.get("aside") or p.said.get("way", "")) == "side" for p in details)
    if kind == "reach" and parts & HAND_WORDS and (aside or any(p.sort == "level" for p in details)):
        return Movement("raise")
    if kind == "bow" and parts & {"knee", "knees"}:
        return Movement("squat")
    if (kind == "raise" and parts & {"knee", "knees", *FOOT_WORDS}) or any(p.sort == "on one leg" for p in details):
        on_one = "hop" if kind == "jump" else "lift knee" if kind in ("raise", "stand", "lift knee") else kind
        return Movement(on_one)
    if kind == "turn" and is_of_head(details):
        return Movement("look")
    if kind == "turn" and parts & TRUNK_WORDS:
        return Movement("twist")
    if kind in ("raise", "bow", "lower") and parts & HEAD_WORDS:
        return Movement("look", direction="up" if kind == "raise" else "down")
    return None


def is_nearby(phrase: Phrase, kind: str) -> bool:
    """Whether a phrase names an object to go to, where a movement without an object is done."""
    at = kind == "stand" and phrase.said.get("preposition") == "at"
    return phrase.sort == "object" and bool(at or {"next", "front", "behind", "beside", "part"} & set(phrase.said))


def where_it_is(kind: str, phrase: Phrase, before: Phrase) -> str:
    """The side of the person on which 'on your left' and the like say that the object before stands; empty: none."""
    if "object" not in before.said or (kind == "place" and is_bare(before)) or kind in ("walk", "turn"):
        return ""
    if phrase.sort == "behind you":
        return "behind" if kind != "sit" else ""
    aside = phrase.said.get("aside", "")
    if phrase.sort != "direction" or "front" in phrase.text:
        return "front" if phrase.text.endswith(("front of you", "front of yourself")) else ""
    turns = {"left", "right"} <= KINDS[kind].directions if kind in KINDS else False
    there = phrase.text.startswith("on ") or not (turns and kind != "place")
    return aside if aside in ("left", "right") and there else ""


def is_around(phrase: Phrase) -> bool:
    """Whether a phrase names an object to walk around."""
    return phrase.said.get("preposition") in ("around", "round")


def is_bare(phrase: Phrase) -> bool:
    """Whether an object stands there without 'to', 'on' and the like."""
    return not {"to", "preposition", "beside", "next", "front", "behind", "away"} & set(phrase.said)


def is_of_head(details: list[Phrase]) -> bool:
    """Whether the head is what is moved."""
    return any(p.said.get("part") in HEAD_WORDS for p in details)


def is_detail_of(clause: Clause, last: Movement) -> bool:
    """Whether a clause of a number of steps or turns alone says how much of the last movement is done."""
    if clause.separator != "," or [p.sort for p in clause.phrases] != ["deed"] or "noun" not in clause.phrases[0].said:
        return False
    noun = NOUN_KIND[clause.phrases[0].said["noun"]]
    if noun == "step":
        return last.kind in ("walk", "step", "march") and not (
            last.count or last.distance or last.seconds or last.object
        )
    return noun == last.kind == "turn" and not (last.angle or last.object)


def is_count(phrase: Phrase) -> bool:
    """Whether a phrase says how often: 'twice', 'three times'."""
    return phrase.sort == "amount" and ("word" in phrase.said or phrase.said["unit"] in UNITS["count"])


def times(phrase: Phrase) -> int:
    """How often something is done, of a phrase that says so."""
    return with_amount(Movement("squat"), phrase).count or 1


def on_each_side(kind: str, details: list[Phrase]) -> list[list[Phrase]]:
    """The details of each movement where 'on each side' or 'alternately' is said; empty: neither is."""
    each = next((p for p in details if p.sort in ("each side", "alternately")), None)
    if each is None:
        return []
    rest = [p for p in details if p is not each]
    turns = KINDS[kind].directions if kind in KINDS else frozenset()
    way = each.text.startswith("to ") or (kind not in SIDE_FIRST and {"left", "right"} <= turns)
    sides = {
        side: Phrase("direction" if way else "limb", each.text, {"aside" if way else "only": side}) for side in SIDES
    }
    if each.sort == "each side":
        return [[*rest, sides[side]] for side in SIDES]
    if any(p.said.get("unit") in UNITS["seconds"] for p in rest):
        raise BadInput(f"'{each.text}' takes a count and no time: say for example 'lunge alternately six times'.")
    often = next((p for p in rest if is_count(p) or (p.sort == "deed" and "number" in p.said)), None)
    limb = next((p for p in rest if p.sort == "limb" and p.said.get("part") not in HEAD_WORDS | TRUNK_WORDS), None)
    if limb and "part" in limb.said:
        part = {"feet": "foot"}.get(limb.said["part"], limb.said["part"].removesuffix("s"))
        sides = {side: Phrase("limb", limb.text, {"part": part, "side": side}) for side in SIDES}
    once = [replace(often, said={**often.said, "number": "a"})] if often and often.sort == "deed" else []
    count = times(often) if often and not once else round(quantity(often.said["number"])) if often else 2
    rest = [*(p for p in rest if p not in (often, limb)), *once]
    first = SIDES[::-1] if limb and limb.said.get("side", limb.said.get("only")) == "right" else SIDES
    return [[*rest, sides[first[k % 2]]] for k in range(count)]


def mirrored(movement: Movement) -> Movement:
    """The movement to, or with, the other side; the same where it has none, or is done to an object."""
    if movement.objects or movement.meanwhile:
        return movement
    kind, aside = movement.kind, movement.direction in SIDES
    side = movement.side if aside or kind in MOVES_FEET or "side" not in KINDS[kind].takes else usual_side(movement)
    if side in SIDES:
        movement = replace(movement, side="left" if side == "right" else "right")
    return replace(movement, direction="left" if movement.direction == "right" else "right") if aside else movement


def rounds_of(kind: str, details: list[Phrase]) -> tuple[int, list[Phrase]]:
    """How often one walks or turns, which is done again and takes no count, and the details without that.

    Around something so often is all the way around it.
    """
    often = next((p for p in details if is_count(p) and quantity(p.said.get("number", "once")) % 1.0 == 0.0), None)
    around = any(p.sort == "circle" or is_around(p) for p in details)
    walks = kind in ("walk", "circle") and (around or not any("to" in p.said or p.sort == "in place" for p in details))
    turns = (
        kind == "turn"
        and not any(p.sort == "limb" for p in details)
        and any(p.said.get("way", p.said.get("aside")) in ("left", "right") for p in details)
    )
    if often is None or not (walks or (turns and not any(p.said.get("unit") in UNITS["angle"] for p in details))):
        return 1, details
    rest = [p for p in details if p is not often]
    return times(often), [*rest, Phrase("circle", often.text)] if around else rest
