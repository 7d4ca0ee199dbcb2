"""The mannequin's task language: a sentence becomes movements, or one clear error.

`grammar` cuts the sentence into phrases of the words in `vocabulary`. Phrases between separators ('then', 'and',
commas) make a clause with one verb, whose movement must take each of the others as a detail (`details`). So no word is
left over: it is used, or the error names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from exoactor_core.errors import BadInput
from exoactor_core.everyday import EVERYDAY
from exoactor_core.scene import Scene
from exoactor_gen.mannequin.details import in_range, unfit, with_amount, with_detail, with_limb, with_noun, with_number
from exoactor_gen.mannequin.grammar import Clause, Phrase, normalised, phrases_of
from exoactor_gen.mannequin.movement import (
    BESIDE,
    GESTURES_MEANWHILE,
    KINDS,
    KNOWN,
    MOVES_FEET,
    OTHER,
    START,
    Movement,
    category_of,
    settled,
)
from exoactor_gen.mannequin.objects import RoomObject, usual_side
from exoactor_gen.mannequin.placement import support_of
from exoactor_gen.mannequin.vocabulary import (
    AT_AFTER,
    DIRECTION,
    FOOT_WORDS,
    FUNCTION_WORDS,
    HAND_WORDS,
    HEAD_WORDS,
    NOUN_KIND,
    OBJECT_AFTER,
    PACE,
    POLYGONS,
    POSES,
    SIDE_FIRST,
    SLIGHT_AMOUNT,
    SYNONYM,
    TOWARDS,
    UNDER,
    UNITS,
    VERB_KIND,
    suggestion,
)
from exoactor_gen.mannequin.whereabouts import told_apart

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
_MEANWHILE = (
    "while it walks, steps, turns or marches, it can do one gesture without an object: "
    f"{', '.join(sorted(GESTURES_MEANWHILE))}"
)
_TAKES_AND_PUTS = ("walk", "raise", "take", "carry", "place", "pick up")
"""Kinds of verbs that move an object from one place to another: move, lift, take, bring, put, get."""
_HANDLED = ("pick up", "hold", "carry", "place")
"""After which hands hold an object, or no longer."""
_STANDS_AT = ("pick up", "hold", "sweep", "touch", "push", "reach", "point")
"""Whose ``at`` says where the object stands."""
_CARRIED_LOW = ("pick up", "hold")
"""What is held stays before the body, so 'above the head' is not done."""
_STRUCK = {"knock": ("door",), "kick": ("ball", "box"), "punch": ("bag",), "push": ("box", "ball", "chair", "stool")}
"""Kinds that can be mimed, and the categories that they are done to by who has walked there."""
_ELLIPTICAL = {"walk": "to", "turn": "to", "look": "at", "point": "at"}
"""The word that is left out before a second object."""


def parse(instruction: str, scene: Scene | None = None) -> tuple[Movement, ...]:
    """Read an instruction; with a scene, objects are those of the scene, by their ids.

    Raises
    ------
    BadInput
        It is empty, holds words that are not understood, a detail that the movement does not take, or a figure out of
        range; the message names the words.
    """
    text = normalised(instruction)
    if not re.search(r"\w", text):
        raise BadInput(f"The instruction is empty: say what to do, for example 'walk forward two metres' ({KNOWN}).")
    objects: frozenset[str] = frozenset()
    if scene is not None:
        text, objects = told_apart(text, scene), _names(scene)
    phrases = [p for p in phrases_of(text, objects) if p.sort not in ("polite", "opening")]
    unknown = [p.text for p in phrases if p.sort == "unknown"]
    if unknown:
        following = [" ".join(q.text for q in phrases[k : k + 2]) for k, p in enumerate(phrases) if p.sort == "unknown"]
        raise _not_understood([w for w in unknown if w not in FUNCTION_WORDS] or following)
    clauses = [Clause("")]
    for phrase in phrases:
        if phrase.sort in ("separator", "while"):
            clauses.append(Clause(phrase.text if phrase.sort == "separator" else "while"))
        else:
            clauses[-1].phrases.append(phrase)
    for clause in clauses:
        if clause.is_pose:
            clause.phrases.insert(0, Phrase("verb", "put"))
    movements = _Reader(_joined(clauses), objects, scene).read()
    return movements if scene is None else found_in(scene, movements)


def _joined(clauses: Sequence[Clause]) -> list[Clause]:
    """The clauses that say something; 'at the same time' after two of them joins them."""
    said: list[Clause] = []
    for clause in clauses:
        if clause.phrases:
            said.append(clause)
        elif clause.separator == "while":
            if len(said) < 2:
                raise BadInput("Two things are to be done at the same time: say both, as in 'walk while waving'.")
            said[-1].separator = "while"
    return said


def gesture_of(text: str) -> Movement:
    """Read a gesture that is done meanwhile; raises `BadInput` as `parse`, or where it is more than a gesture."""
    movements = parse(text)
    gesture = movements[0]
    if len(movements) > 1 or gesture.object or gesture.kind not in GESTURES_MEANWHILE:
        raise BadInput(f"The mannequin does not do '{text}' while it does something else: {_MEANWHILE}.")
    return gesture


def _not_understood(words: Sequence[str]) -> BadInput:
    hints = {w: suggestion(w) for w in list(dict.fromkeys(words))[:12]}
    named = ", ".join(f"'{w[:60]}'{hint}" for w, hint in hints.items())
    known = f": it knows {KNOWN}, with sides, directions, distances, angles, counts and seconds"
    if all("say '" in hint for hint in hints.values()):  # that is enough
        known = ""
    return BadInput(
        f"The mannequin does not understand {named}{known}; other backends can do more (see 'exoactor doctor')."
    )


def found_in(scene: Scene, movements: Sequence[Movement]) -> tuple[Movement, ...]:
    """The movements with the ids of the objects that they name.

    Raises
    ------
    BadInput
        The scene lacks an object, or it does not stand where it is said to.
    """
    room = {item.id: RoomObject.given(item) for item in scene.objects}
    where = {id_: under.item.id if (under := support_of(room.values(), obj)) else "floor" for id_, obj in room.items()}

    def id_of(name: str | None) -> str | None:
        return name if name in (None, START, "floor") else scene.find(name).id

    found = []
    for movement in movements:
        at, name = id_of(movement.at), movement.object
        if at and name and movement.kind in _STANDS_AT:
            there = Scene(objects=tuple(obj for obj in scene.objects if where[obj.id] == at))
            try:
                name = there.find(name).id
            except BadInput:
                obj = scene.find(name).id
                raise BadInput(f"The {obj} is not on the {at}: it is on the {where[obj] or 'way'}.") from None
        found.append(replace(movement, object=(id_ := id_of(name)), at=at))
        if id_ and movement.kind == "place":
            where[id_] = where[at] if at and movement.direction in BESIDE else at or "floor"
        elif id_ and movement.kind in (*_HANDLED, "sweep"):
            where[id_] = "floor" if movement.kind == "sweep" else ""
    return tuple(found)


def _names(scene: Scene) -> frozenset[str]:
    """By which the objects of a scene can be called."""
    names = {name for obj in scene.objects for name in (obj.category, obj.id.replace("_", " "))}
    return frozenset(name.replace("_", " ") for name in names)


class _Reader:
    """Makes movements of clauses. Each phrase of a clause is used for its movement, or refused by name."""

    def __init__(self, clauses: list[Clause], objects: frozenset[str], scene: Scene | None) -> None:
        self.clauses, self.objects, self.scene = clauses, objects, scene
        self.movements: list[Movement] = []
        self.detailed = False
        """The clause before was a detail of the last movement."""

    def read(self) -> tuple[Movement, ...]:
        """Read all clauses, in their order."""
        pending: list[Phrase] = []  # details that come before their verb, such as 'with your left hand, wave'
        for k, clause in enumerate(self.clauses):
            after = self.clauses[k + 1] if k + 1 < len(self.clauses) else None
            if clause.verbs:
                self._act(clause, pending)
                pending = []
                before = self.clauses[k - 1] if k else None
                if before and (clause.separator == "while" or (k == 1 and before.separator == "while")):
                    self._join(before, clause)
                elif clause.separator == "while" and not (after and after.verbs):
                    raise BadInput(f"Something goes on while '{clause.text}': say what, as in 'walk while waving'.")
                elif before and before.separator == "while" and clause.verbs[0].text.endswith("ing"):
                    raise BadInput(
                        f"'{clause.verbs[0].text}' may be meant to be at the same time or afterwards: say 'then', or "
                        "one gesture only."
                    )
            elif not self.movements or (
                after
                and after.verbs
                and after.separator == ","
                and clause.separator != ","
                and all(p.sort == "limb" for p in clause.phrases)
            ):
                pending += clause.phrases
            else:
                self._go_on(clause)
        if pending or not self.movements:
            raise BadInput(f"The instruction names no action: say what to do ({KNOWN}).")
        return settled(self.movements)

    def _act(self, clause: Clause, pending: list[Phrase]) -> None:
        self.detailed = False
        verb = _verb_of(clause)
        details = [*pending, *(p for p in clause.phrases if p is not verb or p.sort == "deed")]
        kind = NOUN_KIND[verb.said.get("noun", "turn")] if verb.sort == "deed" else VERB_KIND[verb.text]
        source = next((p for p in details if "which" in p.said or p.said.get("preposition") in ("from", "off")), None)
        details = self._preceded(kind, verb, details, source)
        kind, details = _kind_by_details(kind, verb, details, source)
        if (kind in ("hold", "stand") and self._stays(verb, details)) or (
            kind == "lower" and self._lowers(verb, details)
        ):
            return
        if (
            kind == "stand"
            and verb.text.startswith("stand")
            and self.movements
            and self.movements[-1].kind in ("sit", "squat", "bow")
        ):
            self.movements.append(Movement("rise"))
        if kind == "look around":
            self.movements += [Movement("look", direction="left"), Movement("look", direction="right")]
            if details:
                raise unfit(verb.text, details[0])
            return
        polygon = next((p for p in details if p.sort == "polygon"), None)
        if polygon and kind == "walk":
            self._polygon(verb, polygon, [p for p in details if p is not polygon])
            return
        named = self._several() if any("them" in p.said for p in details) else ("",)
        for name in named:
            one = [replace(p, said={**p.said, "object": name}) if "them" in p.said else p for p in details]
            self.movements.append(self._with_goal(self._filled(self._opened(kind, verb, one), one, verb)))

    def _is_taken_first(self, kind: str, moved: list[Phrase], source: Phrase) -> bool:
        """Whether something is taken from somewhere in a step of its own: 'bring the cup from it to the box'."""
        if not moved or not _bare(moved[0]):
            return False
        return len(moved) > 1 or ("which" in source.said and kind in ("carry", "place"))

    def _preceded(self, kind: str, verb: Phrase, details: list[Phrase], source: Phrase | None) -> list[Phrase]:
        """The details without those that are movements of their own, which come first: taking, turning, walking."""
        moved = [p for p in details if p.sort == "object" and p is not source]
        if source and kind in _TAKES_AND_PUTS and self._is_taken_first(kind, moved, source):
            limbs = [p for p in details if p.sort == "limb"]
            self.movements.append(self._filled(Movement("pick up"), [moved[0], source, *limbs], verb))
            details = [p for p in details if p is not source]
        if kind == "walk" and any(p.sort == "away" for p in details):
            self.movements.append(Movement("turn", direction="around"))
            details = [p for p in details if p.sort != "away"]
        if kind == "stand" and (near := next((p for p in details if _is_nearby(p)), None)):
            self.movements.append(self._object(Movement("walk"), replace(near, said={**near.said, "next": "at"}), verb))
            details = [p for p in details if p is not near]
        return details

    def _with_goal(self, movement: Movement) -> Movement:
        """The movement, done to, or on, what was walked to where it is not said: 'walk to the door and knock'."""
        last = self.movements[-1] if self.movements else movement
        struck = last.kind == "walk" and category_of(last.object or "") in _STRUCK.get(movement.kind, ())
        if struck and not movement.object:
            return replace(movement, object=last.object)
        goal = self._goal() if last.kind in ("walk", "carry") else None
        if movement.kind == "place" and not movement.at and goal and self._like(goal).get("supports"):
            return replace(movement, at=goal)  # 'carry it to the table and put it down'
        return movement

    def _with_side(self, phrase: Phrase) -> Phrase:
        """A limb with its side, where 'the other' one than before is said."""
        if "rest" not in phrase.said and phrase.said.get("side") != "other":
            return phrase
        last = next((m for m in reversed(self.movements) if "side" in KINDS[m.kind].takes), None)
        side = last and usual_side(last)
        if side not in ("left", "right"):
            raise BadInput(f"It is not clear which '{phrase.text}' is: say left or right.")
        said = {name: value for name, value in phrase.said.items() if name != "rest"}
        return replace(phrase, said={**said, "side": "left" if side == "right" else "right"})

    def _several(self) -> Sequence[str]:
        """What 'them' are: the objects that the same was done to last."""
        names: list[str] = []
        for movement in reversed(self.movements):
            if movement.kind != self.movements[-1].kind or not movement.object:
                break
            names.insert(0, movement.object)
        if len(set(names)) < 2:
            raise BadInput("It is not clear what 'them' are: name two objects before, or say which.")
        return tuple(dict.fromkeys(names))

    def _polygon(self, verb: Phrase, polygon: Phrase, details: list[Phrase]) -> None:
        """Read 'walk in a square': so many sides, 1 m where nothing is said, with a turn after each, to the left."""
        said = polygon.said
        length = [Phrase("amount", polygon.text, {n: said[n] for n in ("number", "unit")})] if "number" in said else []
        walk = self._filled(Movement("walk"), [*details, *length], verb)
        if walk not in (
            bare := Movement("walk", pace=walk.pace, distance=walk.distance),
            replace(bare, direction="right"),
            replace(bare, direction="left"),
        ):
            raise BadInput(f"'{verb.text} {polygon.text}' takes a distance, a pace, and left or right alone.")
        corners = POLYGONS[said["polygon"]]
        side = replace(walk, direction="forward", distance=walk.distance or 1.0)
        turn = Movement("turn", direction=walk.direction or "left", angle=360.0 / corners, pace=walk.pace)
        self.movements += [side, turn] * corners

    def _join(self, before: Clause, clause: Clause) -> None:
        """Make one movement of the last two, which are done at the same time."""
        if len(self.movements) < 2 or not before.verbs:
            raise BadInput(f"Say in one part what goes on while '{clause.text}', as in 'walk 2 m while waving'.")
        first, second = self.movements[-2:]
        if Movement("stand") in (first, second):  # 'nod while standing'
            self.movements[-2:] = [second if first == Movement("stand") else first]
            return
        if taken := next((m for m in (first, second) if m.kind in ("hold", "carry") and m.object and not m.at), None):
            meanwhile = second if taken is first else first  # 'walk to the door while holding the cup'
            handled = [m.kind for m in self.movements[:-2] if m.object == taken.object and m.kind in _HANDLED]
            held = handled[-1:] not in ([], ["place"])
            self.movements[-2:] = [meanwhile] if held else [replace(taken, kind="pick up", direction=None), meanwhile]
            return
        walked = self.movements[-3:-2]
        if before.separator == "and" and len(clause.phrases) == 1 and [a.kind for a in walked] == [second.kind]:
            second = self.movements.pop(-3)  # 'walk two metres and wave while walking' walks once
        if second.kind in MOVES_FEET:
            feet, gesture, text = second, first, before.text
        else:
            feet, gesture, text = first, second, clause.text
        if gesture_of(text) != gesture:
            raise BadInput(f"'{before.text}' and '{clause.text}' are not done at the same time: {_MEANWHILE}.")
        self.movements[-2:] = [replace(feet, meanwhile=text)]

    def _opened(self, kind: str, verb: Phrase, details: list[Phrase]) -> Movement:
        """The bare movement of a verb, which may depend on what follows it."""
        objects = [p for p in details if p.sort == "object"]
        limbs = [p for p in details if p.sort == "limb" and p.said.get("part") in HAND_WORDS]
        second = objects[1].said if len(objects) > 1 else {}
        if kind in ("walk", "step") and any(p.sort == "in place" for p in details):
            return Movement("march")
        if kind == "step" and verb.text.startswith("side"):
            return Movement("step", direction="side")
        body = next((p.said["body"] for p in details if p.sort == "own body"), "")
        if kind in ("place", "hold") and limbs and body:
            return Movement("hands on head" if body == "head" else "hands on hips")
        if kind in ("place", "hold") and limbs and not limbs[0].text.startswith(("with", "using")):
            return Movement("touch" if objects else "raise")
        if kind == "take" or (kind == "walk" and verb.text.startswith("mov") and objects and _bare(objects[0])):
            if "to" in second:
                return Movement("carry")
            if kind == "take":
                return Movement("pick up", direction="up")
            return Movement("place" if second else "push")
        if kind == "pick up" and (" up" in verb.text or verb.text == "pickup"):
            return Movement(kind, direction="up")
        if kind == "raise" and objects and _bare(objects[0]):
            return Movement("place" if second.get("preposition") in AT_AFTER["place"].split() else "pick up")
        if kind == "push" and any(p.said.get("part") in FOOT_WORDS for p in details):
            return Movement("nudge")
        parts = {p.said.get("part") for p in details}
        if kind == "bow" and parts & {"knee", "knees"}:
            return Movement("squat")
        if (kind == "raise" and parts & {"knee", *FOOT_WORDS}) or any(p.sort == "on one leg" for p in details):
            return Movement("lift knee") if kind in ("raise", "stand", "lift knee") else Movement(kind)
        if kind == "turn" and any(p.said.get("part") in HEAD_WORDS for p in details):
            return Movement("look")
        if verb.text.startswith("stretch") and not details:
            return Movement("reach", side="both", direction="up")
        if kind == "reach" and limbs and any(p.said.get("aside", "").startswith("side") for p in details):
            return Movement("raise")
        if kind == "spin" and any(p.sort == "deed" or p.said.get("unit") in UNITS["angle"] for p in details):
            return Movement("turn")
        return {
            "approach": Movement("walk"),
            "avoid": Movement("walk", direction="around"),
            "face": Movement("turn"),
            "turn back": Movement("turn", direction="around"),
            "spin": Movement("turn", angle=360.0),
            "back up": Movement("walk", direction="backward"),
            "circle": Movement("walk", direction="around", angle=360.0),
            "spread": Movement("raise", side=None if limbs else "both", direction="side"),
        }.get(kind) or Movement(kind)

    def _stays(self, verb: Phrase, details: list[Phrase]) -> bool:
        """Read 'stay there for 3 seconds' and 'hold it for 3 seconds' as part of the pose before; False: it is not."""
        last = self.movements[-1] if self.movements else None
        if (
            last is None
            or last.kind not in POSES
            or category_of(last.object or "chair") != "chair"
            or verb.text == "stop"
        ):
            return False
        pronoun = [
            p for p in details if p.sort == "there" or "it" in p.said or p.sort == "direction" or p.sort == "limb"
        ]
        if not pronoun and VERB_KIND[verb.text] != "hold":
            return False
        if any(p.said.get("object") for p in details):
            return False
        rest = [p for p in details if p not in pronoun]
        if not any(p.sort == "amount" for p in rest):
            raise BadInput(
                f"'{' '.join([verb.text, *(p.text for p in details)])}' does not say for how long: a task ends "
                "upright, with the arms down; say for example 'for 3 seconds'."
            )
        for phrase in pronoun:
            ways = (last.direction, None if last.direction else "up" if last.kind == "raise" else None)
            if phrase.sort == "direction" and phrase.said.get("way") not in ways and last.kind != "squat":
                raise unfit(verb.text, phrase)
            if phrase.sort == "limb" and phrase.said.get("part") not in HAND_WORDS:
                raise unfit(verb.text, phrase)
        for phrase in rest:
            if phrase.sort != "amount" or phrase.said.get("unit") not in UNITS["seconds"]:
                raise unfit(verb.text, phrase)
            self.movements[-1] = with_amount(self.movements[-1], phrase)
        return True

    def _lowers(self, verb: Phrase, details: list[Phrase]) -> bool:
        """Read 'and lower it', which what is raised does by itself; raises `BadInput` where nothing is raised."""
        last = self.movements[-1] if self.movements else Movement(verb.text)
        limbs = [p for p in details if p.sort == "limb"]
        others = [p for p in details if p.sort != "limb" and "it" not in p.said]
        if last.kind not in ("raise", "reach", "point", "lift knee"):
            raise BadInput(
                f"There is nothing to {verb.text if verb.text.startswith('lower') else 'put down'}: every gesture ends "
                "with the arms down."
            )
        if others or self._filled(last, limbs, verb) != last:
            raise unfit(verb.text, (others or limbs)[0])
        return True

    def _go_on(self, clause: Clause) -> None:
        """Read a clause without a verb: a detail that is still open, or the last movement once more."""
        last = self.movements[-1]
        verb = Phrase("verb", last.kind)
        if last.object and last.kind in _ELLIPTICAL and last.object != START:  # 'walk to the table, then the chair'
            word = last.direction if last.direction in ("around", "over", "under") else _ELLIPTICAL[last.kind]
            key = "to" if word == "to" else "preposition"
            clause.phrases = [
                replace(p, said={**p.said, key: word}) if p.sort == "object" and _bare(p) else p for p in clause.phrases
            ]
        if [p.sort for p in clause.phrases] == ["again"]:
            self.movements.append(last)
            return
        if clause.separator == "," or self.detailed or all(p.sort == "pace" for p in clause.phrases):
            try:  # 'walk forward, two metres'
                self.movements[-1] = self._filled(last, clause.phrases, verb)
                self.detailed = clause.separator == ","  # 'wave, slowly and with your left hand' waves once
                return
            except BadInput:
                pass
        if all(p.sort in ("amount", "number") for p in clause.phrases):  # 'turn right 90 degrees, then 45 degrees'
            bare = replace(last, distance=None, angle=None, count=None, seconds=None)
        else:
            there = last.kind == "place" and clause.phrases[0].sort == "object" and all(map(_bare, clause.phrases))
            beside = last.direction if last.direction in BESIDE else None
            bare = Movement(last.kind, at=last.at, direction=beside) if there else Movement(last.kind)
        self.movements.append(self._filled(bare, clause.phrases, verb))
        at, k = self.movements[-1].at, len(self.movements) - 2
        while at and k >= 0 and (one := self.movements[k]).kind == last.kind and one.at is None and one.object:
            if one.direction == "down":
                break
            self.movements[k], k = replace(one, at=at), k - 1  # 'put the cup and the ball on it'

    def _filled(self, movement: Movement, details: list[Phrase], verb: Phrase) -> Movement:
        """The movement with its details."""
        amounts = any(p.sort in ("amount", "deed", "slight") for p in details)
        clockwise = any(p.said.get("way", "").endswith("clockwise") for p in details)
        for phrase in sorted(details, key=lambda p: p.sort == "slight"):
            movement = self._detail(movement, phrase, verb, amounts)
        if movement.kind == "turn" and movement.angle and movement.count:
            movement = replace(movement, angle=in_range("angle", movement.angle * movement.count), count=None)
        if clockwise and movement.direction == "around" and movement.object and movement.side:
            movement = replace(
                movement, side="left" if movement.side == "right" else "right"
            )  # it passes the other side
        return movement

    def _detail(self, movement: Movement, phrase: Phrase, verb: Phrase, amounts: bool) -> Movement:
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
            return with_limb(movement, self._with_side(phrase))
        if sort == "object":
            return self._object(movement, phrase, verb)
        if sort in ("direction", "way"):
            return self._direction(movement, phrase, verb, amounts)
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
            if self.scene is not None:  # where it is imagined, it stands there
                self._require_on("behind", movement.object, phrase, verb)
            return movement
        if sort == "there" and kind == "place" and self._goal():
            return with_detail(movement, "at", self._goal(), phrase)
        if (
            (sort, kind) in _SAID_ANYWAY
            or (sort == "with it" and kind in MOVES_FEET and any(a.kind in _HANDLED for a in self.movements))
            or (sort == "again" and any(a.kind == kind for a in self.movements))
            or (sort == "own body" and kind == f"hands on {'head' if phrase.said['body'] == 'head' else 'hips'}")
            or (sort == "answer" and (kind, phrase.said["answer"]) in (("nod", "yes"), ("shake head", "no")))
        ):
            return movement
        raise unfit(verb.text, phrase)

    def _direction(self, movement: Movement, phrase: Phrase, verb: Phrase, amounts: bool) -> Movement:
        word = phrase.said.get("way") or phrase.said.get("aside") or "forward"
        if word == "back" and movement.kind == "walk" and phrase.text == "back" and self.movements:
            turned = self.movements[-1].kind == "turn" and (
                self.movements[-1].direction == "around" or self.movements[-1].angle == 180.0
            )
            been = any(a.kind in ("walk", "step", "carry") or (a.kind == "place" and a.at) for a in self.movements)
            if been and not amounts:
                return self._detail(movement, Phrase(START, phrase.text), verb, amounts)
            if turned:
                word = "forward"
        if movement.kind == "place" and "front" in phrase.text:  # where things are put down
            return movement
        if movement.kind == "place" and word in ("left", "right") and movement.at:  # 'on the table on your left'
            self._require_on(word, movement.at, phrase, verb)
            return movement
        if word in ("above", "high", "overhead") and movement.kind in _CARRIED_LOW:
            raise unfit(verb.text, phrase)
        side = word in ("left", "right") and "aside" not in phrase.said
        if side and movement.kind in SIDE_FIRST and movement.object is None:
            return with_detail(movement, "side", word, phrase)
        return with_detail(movement, "direction", DIRECTION[word], phrase)

    def _require_on(self, side: str, name: str, phrase: Phrase, verb: Phrase) -> None:
        """Raise `BadInput` where an object of the scene is not on that side of who begins, facing +x."""
        if self.scene is None or name == "floor":
            raise unfit(verb.text, phrase)
        x, y, _ = self.scene.find(name).pos
        if not {"left": y > 0.0, "right": y < 0.0, "behind": x < 0.0}[side]:
            where = "behind the robot" if side == "behind" else f"on the {side}"
            raise BadInput(f"The {name} is not {where}: it is at x = {x:g} m, y = {y:g} m.")

    def _object(self, movement: Movement, phrase: Phrase, verb: Phrase) -> Movement:
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
            if not (like := movement.object or self._meant(movement)):
                raise BadInput(f"It is not clear what '{phrase.text}' is: name the object.")
            said = {**said, "color": said["one"], "object": category_of(like)}
        name = said.get("object", "")
        name = self._called(name, said, movement) or self._meant(movement)
        if not name:
            raise BadInput(f"It is not clear what 'it' is in '{verb.text} {phrase.text}': name the object.")
        if kind == "place" and before in ("in", "into", "inside") and not self._contains(name):
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

    def _called(self, name: str, said: Mapping[str, str], movement: Movement) -> str:
        """The name of an object: of the scene's, or a category with its colour, as in 'red_cup'."""
        name = name if name in self.objects else SYNONYM.get(name, name)
        if "color" in said:
            return f"{said['color']}_{name}"
        if "other" in said:
            return f"{OTHER}_{name}" if self.scene is None else self._other(self.scene, name, movement)
        if self.scene is not None:
            return name
        named = {n for a in self.movements for n in (a.object, a.at) if n and category_of(n) == name}
        if len(named) > 1 and name not in named:
            raise BadInput(f"Which {name}? {' and '.join(sorted(named)).replace('_', ' ')} were named: say the colour.")
        return name if name in named or not named else named.pop()

    def _other(self, scene: Scene, name: str, movement: Movement) -> str:
        """The object of a scene that is called so, too, and neither was named nor has on it what is moved."""
        room = {item.id: RoomObject.given(item) for item in scene.objects}
        said = {scene.find(n).id for a in (*self.movements, movement) for n in (a.object, a.at) if n in room}
        said |= {under.item.id for id_ in said if (under := support_of(room.values(), room[id_]))}
        called = [id_ for id_, obj in room.items() if obj.kind == name]
        left = [id_ for id_ in called if id_ not in said]
        if len(called) < 2 or not left:
            raise BadInput(f"The scene has no other {name}: it has {', '.join(called) or 'none'}.")
        if len(left) > 1:
            raise BadInput(f"Which other {name}? The scene has {', '.join(left)}: name one of them.")
        return left[0]

    def _contains(self, name: str) -> bool:
        """Whether something can be put into an object, or it is not known."""
        return self._like(name).get("contains", True)

    def _like(self, name: str) -> dict[str, bool]:
        """Whether things can be put on, or into, an object; empty where it is not known."""
        like = EVERYDAY.get(category_of(name)) if self.scene is None else self.scene.find(name)
        return {"supports": like.supports, "contains": like.contains} if like else {}

    def _meant(self, movement: Movement) -> str:
        """What 'it' is: for hands that hold something this, else what was named last."""
        named = [n for a in self.movements for n in (a.object, a.at) if n not in (None, "floor", START)]
        taken = [a.object for a in self.movements if a.kind in ("pick up", "carry") and a.object]
        if movement.kind in ("place", "carry") and movement.object is None and taken:
            named = taken
        named = [name for name in named if name != movement.object]
        return named[-1] if named else ""

    def _goal(self) -> str | None:
        """Where 'there' is: what was carried or walked to last."""
        goals = [a.at if a.kind == "carry" else a.object for a in self.movements if a.kind in ("carry", "walk")]
        return goals[-1] if goals and goals[-1] != START else None


def _verb_of(clause: Clause) -> Phrase:
    """What names the movement of a clause; raises `BadInput` where there are several."""
    verb, *more = clause.verbs
    if more and verb.sort == "verb" and more[0].sort == "deed":  # 'turn a quarter turn', 'walk two steps'
        kind = NOUN_KIND[more[0].said.get("noun", "turn")]
        if kind == VERB_KIND[verb.text] or {kind, VERB_KIND[verb.text]} in ({"walk", "step"}, {"spin", "turn"}):
            more = more[1:]
    if more:
        raise BadInput(
            f"The mannequin does not understand '{more[0].text}' after '{verb.text}': join actions with 'and' or "
            "'then'."
        )
    return verb


def _kind_by_details(kind: str, verb: Phrase, details: list[Phrase], source: Phrase | None) -> tuple[str, list[Phrase]]:
    """The kind of movement that a verb with its details means, and the details that are left of it."""
    limb = next((p for p in details if p.sort == "limb" and not p.text.startswith(("with", "using"))), None)
    if kind == "walk" and limb and verb.text.startswith("mov"):
        kind = _moved_limb(limb, details)
    if verb.text.startswith("turn your back") and details:  # 'turn your back to the table'
        raise unfit(verb.text, details[0])
    if kind == "place" and limb and any(p.said.get("way") == "down" for p in details):
        kind, details = "lower", [p for p in details if p.said.get("way") != "down"]
    if kind == "lean":
        kind = "bow"
        if not any(p.sort in ("amount", "number", "slight") for p in details):
            details = [*details, Phrase("slight", "a bit")]
    if kind == "return":
        kind, details = "walk", details or [Phrase(START, "return")]
    if kind in ("push", "knock") and source and source.said.get("preposition") == "off":
        kind = "sweep"
    return kind, details


def _moved_limb(limb: Phrase, details: list[Phrase]) -> str:
    """The kind of 'move' by what is moved; raises `BadInput` where it is not said which way."""
    part = limb.said.get("part")
    if not any(p.sort in ("direction", "way", "above") for p in details):
        raise BadInput(f"It is not said which way to move '{limb.text}': say for example 'raise your right arm'.")
    if part in HAND_WORDS:
        return "place"
    if part in HEAD_WORDS:
        return "look"
    if part in FOOT_WORDS:
        return "raise" if any(p.said.get("way") == "up" for p in details) else "step"
    raise unfit("move", limb)


def _is_nearby(phrase: Phrase) -> bool:
    """Whether a phrase names an object to stand at."""
    return phrase.sort == "object" and (
        "next" in phrase.said or "front" in phrase.said or phrase.said.get("preposition") == "at"
    )


def _bare(phrase: Phrase) -> bool:
    """Whether an object stands there without 'to', 'on' and the like."""
    return not {"to", "preposition", "beside", "next", "front"} & set(phrase.said)
