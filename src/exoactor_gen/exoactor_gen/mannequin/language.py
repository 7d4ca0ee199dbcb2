"""The mannequin's task language: a sentence becomes movements, or one clear error.

`grammar` cuts the sentence into phrases of the words in `vocabulary`. Phrases between separators ('then', 'and',
commas) make a clause with one verb (`verbs`), whose movement must take each of the others as a complement
(`complements`, `details`); `references` tells which objects are meant. So no word is left over: it is used, or the
error names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile

from exoactor_core.contacts import SIDES
from exoactor_core.errors import BadInput
from exoactor_core.scene import Scene
from exoactor_gen.mannequin.complements import filled, object_of
from exoactor_gen.mannequin.details import unfit, with_amount
from exoactor_gen.mannequin.grammar import Clause, Phrase, normalised, phrases_of
from exoactor_gen.mannequin.movement import (
    ARM_GESTURES,
    BESIDE,
    GESTURES_MEANWHILE,
    HANDLED,
    KINDS,
    KNOWN,
    KNOWN_OBJECTS,
    MOVES_FEET,
    START,
    WITH_GESTURES,
    Movement,
    category_of,
    settled,
)
from exoactor_gen.mannequin.objects import LOOSE, ONE_HANDED
from exoactor_gen.mannequin.references import References, found_in, names_of, with_object_ids
from exoactor_gen.mannequin.score import arms_used, sides_of
from exoactor_gen.mannequin.unwanted import is_done_by
from exoactor_gen.mannequin.verbs import (
    TRANSITIVE,
    implied_verb,
    is_bare,
    is_count,
    is_detail_of,
    is_moved,
    is_nearby,
    is_of_head,
    kind_by_details,
    mirrored,
    on_each_side,
    opened,
    rounds_of,
    times,
    verb_of,
    where_it_is,
)
from exoactor_gen.mannequin.vocabulary import (
    DIRECTION,
    FUNCTION_WORDS,
    HAND_WORDS,
    NOUN_KIND,
    ON,
    POLYGONS,
    POSES,
    UNITS,
    VERB_KIND,
    quantity,
    spelling,
    suggestion,
)
from exoactor_gen.plan import Plan

_ARTICLES = frozenset(("the", "a", "an", "my", "your", "that", "this"))
_NO_MODIFIERS = FUNCTION_WORDS | {
    "is", "are", "was", "were", "be", "been", "has", "have", "had", "did", "as", "than", "so", "who", "where", "what"
}  # fmt: skip
"""Words that change what a sentence means, wherever they stand."""
_MEANWHILE = (
    "while it walks, steps, turns, marches or sits, it can do one gesture without an object: "
    f"{', '.join(sorted(GESTURES_MEANWHILE))}"
)
_TAKES_AND_PUTS = ("walk", "raise", "take", "carry", "place", "pick up")
"""Kinds of verbs that move an object from one place to another: move, lift, take, bring, put, get."""
_STRUCK = {"knock": ("door",), "kick": ("ball", "box"), "punch": ("bag",), "push": ("box", "ball", "chair", "stool")}
"""Kinds that can be mimed, and the categories that they are done to by who has walked there."""
_FOUND_BESIDE = ("pick up", "take", "raise", "touch", "kick", "push")
"""Kinds of verbs whose object may be imagined beside something else: 'take the ball next to the chair'."""
_GO_ON = ("walk", "march")
"""What lasts as long as what is done meanwhile: 'walk with your arms crossed for 5 seconds'."""
_RAISED_FORWARD = Movement("raise", side="both", direction="forward")
"""What arms do in a squat anyway."""
_ELLIPTICAL = {"walk": "to", "turn": "to", "look": "at", "point": "at"}
"""The word that is left out before a second object."""


@dataclass(frozen=True)
class Reading:
    """What an instruction, or a plan, was understood to mean."""

    movements: tuple[Movement, ...]
    instruction: str = ""
    notes: tuple[str, ...] = ()
    """How it was read where it is misspelt or could mean something else."""
    plan: Plan | None = None
    """The plan that was read, whose times determine stays and paces; None: the mannequin's own times."""


def parse(instruction: str, scene: Scene | None = None) -> tuple[Movement, ...]:
    """The movements of an instruction; raises as `read`."""
    return read(instruction, scene).movements


def read(instruction: str, scene: Scene | None = None) -> Reading:
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
    names = names_of(scene) if scene else frozenset[str]()
    cut = phrases_of(with_object_ids(text, scene) if scene else text, names)
    phrases = [p for p in cut if p.sort not in ("polite", "opening")]
    unknown = [p.text for p in phrases if p.sort == "unknown"]
    slips, unused = _slips(unknown, names), _modifiers(phrases)
    for words, note in ((slips, "'{}' was read as '{}'"), (dict.fromkeys(unused, ""), "'{}' was not used")):
        clearer = _respelt(instruction, words)
        if clearer != instruction:
            with suppress(BadInput):
                known = read(clearer, scene)
                notes = (*(note.format(*each) for each in words.items()), *known.notes)
                return replace(known, instruction=instruction, notes=notes)
    if unknown:
        raise _not_understood(phrases)
    reader = _Reader(_clauses_of(phrases), scene)
    movements = _with_raised_arms(reader.read())
    return Reading(movements if scene is None else found_in(scene, movements), instruction, tuple(reader.notes))


def _with_raised_arms(movements: Sequence[Movement]) -> tuple[Movement, ...]:
    """Gestures of one arm after its raising, with that arm unless one is named: 'raise your left arm and wave'."""
    out = list(movements)
    for k, (before, movement) in enumerate(pairwise(movements), 1):
        gesture = gesture_of(movement.meanwhile) if movement.meanwhile and movement.kind != "sit" else movement
        raised = before.kind == "raise" and before.object is None and before.side in SIDES
        open_side = gesture.kind != "raise" and gesture.object is None and gesture.side is None
        if raised and open_side and len(arms_used(gesture)) == 1:
            sided = replace(gesture, side=before.side)
            out[k] = sided if gesture is movement else replace(movement, meanwhile=instruction_of(sided))
    return tuple(out)


def _respelt(text: str, words: Mapping[str, str]) -> str:
    """The text with some of its words replaced."""
    return re.sub(r"\w+", lambda found: words.get(found[0].lower(), found[0]), text)


def _slips(unknown: Sequence[str], names: frozenset[str]) -> dict[str, str]:
    """Misspelt words as they are spelt, where all that are unknown are misspelt; else empty."""
    words = frozenset(name for names_ in names for name in names_.split())
    spelt = {word: spelling(word, words) for word in unknown if word not in FUNCTION_WORDS}
    return {word: spelt_ for word, spelt_ in spelt.items() if spelt_ != word} if all(spelt.values()) else {}


def _modifiers(phrases: Sequence[Phrase]) -> list[str]:
    """Words that are not understood and say what something is like, or how it is done: 'the shiny cup', 'solemnly'."""
    unused = []
    for k, (before, phrase) in enumerate(pairwise(phrases), 1):
        word = phrase.text
        if phrase.sort != "unknown" or not word.isalpha() or suggestion(word) or word in _NO_MODIFIERS:
            continue
        following = next((p for p in phrases[k:] if p.sort != "unknown"), None)
        noun = following is not None and "object" in following.said and following.text == following.said["object"]
        described = noun and (before.text in _ARTICLES or before.text in unused)
        unused += [word] if described or (word.endswith("ly") and len(word) > 4) else []
    return unused


def _clauses_of(phrases: Sequence[Phrase]) -> list[Clause]:
    """What stands between separators, each with a verb or details alone."""
    clauses = [Clause("")]
    for phrase in phrases:
        if phrase.sort in ("separator", "while"):
            clauses.append(Clause(phrase.text if phrase.sort == "separator" else "while"))
        elif phrase.sort == "not":
            clauses.append(Clause("then", unwanted=phrase.text))
        else:
            clauses[-1].phrases.append(phrase)
    for clause in clauses:
        if clause.is_pose:
            clause.phrases.insert(0, Phrase("verb", "put"))
    return _joined(clauses)


def _joined(clauses: Sequence[Clause]) -> list[Clause]:
    """The clauses that say something; 'at the same time' after two of them joins them."""
    said: list[Clause] = []
    for clause in clauses:
        if clause.phrases:
            said.append(clause)
        elif clause.separator == "while":
            if len(said) < 2:
                raise BadInput("Two actions are to be done at the same time: say both, as in 'walk while waving'.")
            said[-1].separator = "while"
    return said


def gesture_of(text: str) -> Movement:
    """Read a gesture that is done meanwhile; raises `BadInput` as `parse`, or where it is more than a gesture."""
    movements = parse(text)
    gesture = movements[0]
    if len(movements) > 1 or gesture.object or gesture.kind not in GESTURES_MEANWHILE:
        raise BadInput(f"The mannequin does not do '{text}' while it does something else: {_MEANWHILE}.")
    return gesture


_SAID = {
    "raise": "raise {hand}",
    "hands on hips": "put {hand} on your hips",
    "hands on head": "put {hand} on your head",
    "shake head": "shake your head",
    "cross arms": "cross your arms",
    "circle arms": "circle {hand}",
    "high five": "give a high five",
}
"""Gestures whose instruction is not just their name."""


def instruction_of(gesture: Movement) -> str:
    """A gesture, or a wait, in the words of the task language."""
    side = gesture.side or KINDS[gesture.kind].side
    said = _SAID.get(gesture.kind, gesture.kind)
    text = said.format(hand="both hands" if side == "both" else f"your {side} hand")
    if gesture.direction:
        text += f" to the {way}" if (way := gesture.direction) in ("side", *SIDES) else f" {way}"
    if gesture.side and "{hand}" not in said:
        text += " with both hands" if side == "both" else f" with your {side} hand"
    for value, unit in ((gesture.angle, "degrees"), (gesture.count, "times")):
        text += f" {value:g} {unit}" if value else ""
    text += f" for {gesture.seconds:g} seconds" if gesture.seconds else ""
    return text + ("" if gesture.pace == 1.0 else " slowly" if gesture.pace < 1.0 else " quickly")


def gestures_of(movement: Movement) -> tuple[Movement, ...]:
    """What is done during a movement: one gesture, or of who sits several, and waiting; raises as `gesture_of`."""
    if movement.kind != "sit" or not movement.meanwhile:
        return (gesture_of(movement.meanwhile),) if movement.meanwhile else ()
    parts = movement.meanwhile.split(", then ")
    return tuple(parse(part)[0] if re.match("stand|wait", part) else gesture_of(part) for part in parts)


def _seated(movements: Sequence[Movement]) -> list[Movement]:
    """The movements with the gestures after sitting down, before anything else, as what is done on the chair."""
    out: list[Movement] = []
    for movement in movements:
        sit = out[-1] if out and out[-1].kind == "sit" and (out[-1].count or 1) == 1 else None
        waits = movement.kind == "stand" and sit and sit.meanwhile
        if not sit or movement.object or not (waits or movement.kind in GESTURES_MEANWHILE):
            out.append(movement)
            continue
        before = sit.meanwhile or (f"wait for {sit.seconds:g} seconds" if sit.seconds else "")
        said = instruction_of(movement)
        out[-1] = replace(sit, meanwhile=f"{before}, then {said}" if before else said, seconds=None)
    return out


_DEGREES = ("slight", "fully", "deep", "level")


def _unsaid(last: Movement, phrases: Sequence[Phrase]) -> Movement:
    """What a clause without a verb leaves unsaid of the movement before: 'put the cup on the table, then the ball'."""
    if all(p.sort in ("amount", "number", *_DEGREES) for p in phrases):  # 'turn right 90 degrees, then 45 degrees'
        return replace(last, distance=None, angle=None, count=None, seconds=None)
    there = last.kind in ("place", "carry") and phrases[0].sort == "object" and all(map(is_bare, phrases))
    beside = last.direction if last.direction in BESIDE else None
    bare = Movement(last.kind, at=last.at, direction=beside) if there else Movement(last.kind)
    if last.angle and last.direction == "around" and not last.object:  # 'in a circle, then to the right'
        bare = replace(last, side=None)
    if all(p.sort in ("direction", "way", *_DEGREES) and not {"left", "right"} & set(p.said.values()) for p in phrases):
        bare = replace(bare, side=last.side)  # 'raise both arms, then to the side'
    named = any(p.sort == "object" for p in phrases)
    if last.kind not in _ELLIPTICAL and "count" in KINDS[last.kind].takes and not named:
        bare = replace(bare, object=last.object, at=last.at)  # 'touch it with your left hand, then your right'
    return bare


def _not_understood(phrases: Sequence[Phrase]) -> BadInput:
    """The error that names what is not understood, and what is: only objects, where only objects are not."""
    unknown = [k for k, p in enumerate(phrases) if p.sort == "unknown"]
    telling = [k for k in unknown if phrases[k].text not in FUNCTION_WORDS]
    words = [phrases[k].text for k in telling] or [" ".join(q.text for q in phrases[k : k + 2]) for k in unknown]
    hints = {w: suggestion(w) for w in list(dict.fromkeys(words))[:12]}
    named = ", ".join(f"'{w[:60]}'{hint}" for w, hint in hints.items())
    known = f": it knows {KNOWN}, with sides, directions, distances, angles, counts and seconds"
    if all("say '" in hint for hint in hints.values()):  # that is enough
        known = ""
    elif telling and all(
        k and phrases[k - 1].text in _ARTICLES and phrases[k].text not in _NO_MODIFIERS for k in telling
    ):
        known = f": the objects that it knows are {KNOWN_OBJECTS}"
    return BadInput(
        f"The mannequin does not understand {named}{known}; other backends can do more (see 'exoactor doctor')."
    )


class _Reader:
    """Makes movements of clauses. Each phrase of a clause is used for its movement, or refused by name."""

    def __init__(self, clauses: list[Clause], scene: Scene | None) -> None:
        self.clauses = clauses
        self.movements: list[Movement] = []
        self.refs = References(self.movements, scene)
        self.detailed = False
        """The clause before was a detail of the last movement."""
        self.sentence = self.verb = 0
        """Number of the first movement of the sentence, and of the clause with a verb, that was read last."""
        self.notes: list[str] = []
        """What could have been read otherwise."""

    def read(self) -> tuple[Movement, ...]:
        """Read all clauses, in their order."""
        pending: list[Phrase] = []  # details that come before their verb, such as 'with your left hand, wave'
        unwanted: list[tuple[Clause, Movement]] = []
        for k, clause in enumerate(self.clauses):
            after = self.clauses[k + 1] if k + 1 < len(self.clauses) else None
            if clause.unwanted:
                unwanted += [(clause, movement) for movement in self._unwanted(clause)]
                continue
            if k and self.clauses[k - 1].unwanted and clause.separator == "and":
                no = f"{self.clauses[k - 1].unwanted} {self.clauses[k - 1].text}"
                raise BadInput(
                    f"It is not clear whether '{clause.text}' after '{no}' is to be done: say 'but', or 'then'."
                )
            if self.movements and clause.separator == ", first" and not clause.verbs:
                clause.separator = ","  # 'wave, first with your left hand, then with your right'
            if self.movements and is_detail_of(clause, self.movements[-1]):
                last = self.movements[-1]
                self.movements[-1] = filled(self.refs, last, clause.phrases, Phrase("verb", last.kind))
                continue
            self._complete(clause, self.clauses[k + 1 :])
            if clause.verbs:
                self.verb = len(self.movements)
                if re.search(r"[.;!?]", clause.separator):
                    self.sentence = self.verb
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
        if unwanted and not self.movements:
            clause, _ = unwanted[0]
            raise BadInput(f"'{clause.unwanted} {clause.text}' says what is not to be done: say what is, too.")
        if pending or not self.movements:
            raise BadInput(f"The instruction names no action: say what to do ({KNOWN}).")
        for clause, movement in unwanted:
            if any(is_done_by(movement, done) for done in self.movements):
                raise BadInput(f"'{clause.unwanted} {clause.text}' is not kept by what else is to be done.")
        return settled(_seated(self.movements))

    def _unwanted(self, clause: Clause) -> list[Movement]:
        """What a clause says that is not to be done, read as if it were."""
        reader = _Reader([], self.refs.scene)
        reader.movements += self.movements
        reader.refs.unwanted += self.refs.unwanted
        if not (clause.verbs or self.movements):
            raise BadInput(f"'{clause.unwanted} {clause.text}' names no action: say what to do ({KNOWN}).")
        try:
            reader._act(clause, []) if clause.verbs else reader._go_on(clause)
        except BadInput as error:
            raise BadInput(f"Of '{clause.unwanted} {clause.text}': {error}") from None
        unwanted = reader.movements[len(self.movements) :]
        if not unwanted or reader.movements[: len(self.movements)] != self.movements:
            raise BadInput(f"It is not clear what is not to be done by '{clause.unwanted} {clause.text}'.")
        self.refs.unwanted += unwanted
        return unwanted

    def _complete(self, clause: Clause, later: Sequence[Clause]) -> None:
        """Add to a clause what is left out of it since it is said before or afterwards."""
        last, after = (self.movements[-1] if self.movements else None), (later[0] if later else None)
        if not clause.verbs:
            leads = last is None and after and after.verbs and after.separator == ","  # 'for two metres, walk'
            implied = "" if leads else implied_verb(clause, last.kind if last else "")
            clause.phrases[:0] = [Phrase("verb", implied)] if implied else []
            clause.phrases[:] = [self._other_one(p, last) for p in clause.phrases]
            return
        verb = clause.verbs[0]
        kind = VERB_KIND.get(verb.text, "")
        clause.phrases[:] = [self._other_one(p, last) if kind in TRANSITIVE else p for p in clause.phrases]
        if kind in TRANSITIVE and clause.phrases == [verb] and after and after.separator == "and" and after.verbs:
            clause.phrases += [p for p in after.phrases if is_moved(p)][:1]  # 'open and close the door'
        sides = list(takewhile(lambda c: [p.sort in ("direction", "way", "limb") for p in c.phrases] == [True], later))
        often = next((p for p in clause.phrases if is_count(p) or (p.sort == "deed" and "number" in p.said)), None)
        if often and len(sides) > 1 and quantity(often.said.get("number", "")) == len(sides):
            once = Phrase("verb", NOUN_KIND[often.said["noun"]]) if often.sort == "deed" else None
            clause.phrases[:] = [p for p in (once if p is often else p for p in clause.phrases) if p]

    def _other_one(self, phrase: Phrase, last: Movement | None) -> Phrase:
        """'The other one' as an object, where something was done to one, and no hand was named for it."""
        other = phrase.sort == "limb" and "rest" in phrase.said and not phrase.is_means
        if other and last and last.object and (phrase.text.endswith("one") or not last.side):
            return Phrase("object", phrase.text, {"another": "other"})
        return phrase

    def _act(self, clause: Clause, pending: list[Phrase]) -> None:
        self.detailed = False
        verb = verb_of(clause)
        details = [*pending, *(p for p in clause.phrases if p is not verb or p.sort == "deed")]
        kind = NOUN_KIND[verb.said.get("noun", "turn")] if verb.sort == "deed" else VERB_KIND[verb.text]
        source = next((p for p in details if "which" in p.said or p.said.get("preposition") in ("from", "off")), None)
        details = self._preceded(kind, verb, self._beside_the_person(kind, verb, details), source)
        self._imagine_beside(kind, verb, details)
        posed = (
            self.movements and self.movements[-1].kind in ("raise", "lift knee") and not self.refs.it(Movement("hold"))
        )
        if (
            kind == "place"
            and posed
            and [p.said.get("way") for p in details if not {"it", "them"} & set(p.said)] == ["down"]
        ):
            kind, details = "lower", [p for p in details if "way" not in p.said]
        kind, details = kind_by_details(kind, verb, details, source)
        if (kind in ("hold", "stand") and self._stays(verb, details)) or (
            kind == "lower" and not is_of_head(details) and self._lowers(verb, details)
        ):
            return
        if (
            kind == "stand"
            and verb.text.startswith("stand")
            and self.movements
            and self.movements[-1].kind in ("sit", "squat", "bow")
        ):
            self.movements.append(Movement("rise"))
        if verb.text.endswith(" seated"):
            raise BadInput(f"'{verb.text}' needs somebody who sits, and a time: say 'sit down for 3 seconds'.")
        back = next((p for p in details if p.sort == START or p.text == "back"), None)
        if kind in ("carry", "take") and back:  # 'bring the ball back to the start'
            taken = filled(self.refs, Movement("pick up"), [p for p in details if p is not back], verb)
            if taken.object is None:
                raise BadInput(f"It is not said what to {verb.text} back: say for example '{verb.text} the cup back'.")
            self.movements += [] if self.refs.holds(taken.name) else [taken]
            kind, details = "walk", [Phrase(START, back.text)]
        if kind == "rise" and details and is_count(details[0]) and self.movements:  # 'sit down and stand up twice'
            self.movements[-1] = filled(self.refs, self.movements[-1], details, verb)
            return
        if kind == "carry" and any(p.sort == "deed" or p.said.get("unit") in UNITS["steps"] for p in details):
            self._take(verb, details)  # 'carry the box three steps forward'
            kind, details = "walk", [p for p in details if p.sort != "limb" and not (p.sort == "object" and is_bare(p))]
        if self._is_figure(kind, verb, details):
            return
        if verb.text.startswith("stack"):
            details = self._stacked(verb, details)
        rounds, details = rounds_of(kind, details)
        for one in self._each(kind, details) * rounds:
            movement = self._with_goal(filled(self.refs, opened(kind, verb, one), one, verb))
            if kind == "fetch" and self.refs.scene is None and all(m.kind != "walk" for m in self.movements):
                there = movement.at if movement.at not in (None, "floor") else None  # what is fetched is elsewhere
                self.movements.append(
                    Movement("walk", object=there or movement.object, at=None if there else movement.at)
                )
            self._add(movement)
        if kind == "fetch":
            self.movements.append(Movement("walk", object=START))

    def _is_figure(self, kind: str, verb: Phrase, details: list[Phrase]) -> bool:
        """Read what is several movements by itself: a look around, a square, a figure eight; False: it is none."""
        if kind == "look around":
            if details:
                raise unfit(verb.text, details[0])
            self.movements += [Movement("look", direction="left"), Movement("look", direction="right")]
            return True
        polygon = next((p for p in details if p.sort == "polygon"), None)
        if polygon and kind == "walk":
            self._polygon(verb, polygon, [p for p in details if p is not polygon])
            return True
        if kind == "walk" and any(p.sort == "figure eight" for p in details):
            self._figure_eight(verb, [p for p in details if p.sort != "figure eight"])
            return True
        if kind == "walk" and any(p.sort == "zigzag" for p in details):
            self._zigzag(verb, [p for p in details if p.sort != "zigzag"])
            return True
        return False

    def _beside_the_person(self, kind: str, verb: Phrase, details: list[Phrase]) -> list[Phrase]:
        """The details without 'on your left' of an object, which must be there; one imagined is gone to first."""
        for before, phrase in list(pairwise(details)):
            side = where_it_is(kind, phrase, before)
            if not side or (kind in _ELLIPTICAL and self.refs.scene is None):  # it is imagined there
                continue
            name = self.refs.called(before.said["object"], before.said, Movement("walk"))
            if self.refs.scene is not None:
                self.refs.require_on(side, name, phrase, verb)
            elif any(name in a.objects for a in self.movements) or name == "floor":
                raise unfit(verb.text, phrase)
            elif side != "front":
                self._take(verb, [p for p in details if p is not before])
                walk = Movement("walk", object=name, direction="left" if side == "left" else "right")
                self.movements.append(Movement("turn", direction="around") if side == "behind" else walk)
            details = [p for p in details if p is not phrase]
        return details

    def _take(self, verb: Phrase, details: list[Phrase]) -> None:
        """Take what is moved, if anything is and the hands do not hold it, before it is gone elsewhere."""
        moved = next((p for p in details if p.sort == "object" and is_bare(p)), None)
        if moved:
            limbs = [p for p in details if p.sort == "limb"]
            taken = filled(self.refs, Movement("pick up"), [moved, *limbs], verb)
            self.movements += [] if self.refs.holds(taken.name) else [taken]

    def _imagine_beside(self, kind: str, verb: Phrase, details: list[Phrase]) -> None:
        """Go to what something is put next to, where it is not there yet: it is imagined on what it is said to be on.

        'Put the cup on the table next to the bottle'.
        """
        objects = [p for p in details if p.sort == "object" and "object" in p.said]
        beside = next((p for p in objects if {"next", "beside"} & set(p.said)), None)
        on = next((p for p in objects if p.said.get("preposition") in ON.split()), None)
        if kind != "place" or self.refs.scene is not None or beside is None or on is None:
            return
        name, support = (self.refs.called(p.said["object"], p.said, Movement("walk")) for p in (beside, on))
        named = any(name in m.objects for m in self.movements)
        if support != "floor" and category_of(name) in LOOSE and not named:
            self._take(verb, details)
            self.movements.append(Movement("walk", object=name, at=support))

    def _stacked(self, verb: Phrase, details: list[Phrase]) -> list[Phrase]:
        """The details of 'stack the two boxes' as those of one that is put on the other."""
        if any(p.said.get("preposition") in ON.split() for p in details):
            return details
        many = next((p for p in details if p.sort == "object" and {"several", "them"} & set(p.said)), None)
        names = () if many is None else self.refs.several(many.said) if "several" in many.said else self.refs.them()
        if many is None or len(names) != 2:
            raise BadInput(
                f"It is not said what is under what in '{verb.text}': say 'stack the red box on the blue box'."
            )
        under, upper = names
        put = [Phrase("object", many.text, {"object": upper})]
        return [
            *put,
            Phrase("object", many.text, {"preposition": "on", "object": under}),
            *(p for p in details if p is not many),
        ]

    def _each(self, kind: str, details: list[Phrase]) -> list[list[Phrase]]:
        """The details for each of the objects that 'them' or a plural names, or for each arm or side, one by one."""
        if sided := on_each_side(kind, details):
            return sided
        turns = next((p for p in details if p.sort == "in turn"), None)
        limb = next((p for p in details if p.sort == "limb" and p.said.get("part", "").endswith("s")), None)
        each = next((p for p in details if p.said.get("side") == "each"), None)
        if limb := each or (limb if turns and limb and "side" not in limb.said else None):  # 'one after the other'
            rest = [p for p in details if p not in (turns, limb)]
            sides = [{"part": limb.said["part"].removesuffix("s"), "side": side} for side in SIDES]
            return [[*rest, Phrase("limb", limb.text, said)] for said in sides]
        many = next((p for p in details if {"them", "several"} & set(p.said) and p.sort == "object"), None)
        if many is None:
            return [details]
        names = self.refs.several(many.said) if "several" in many.said else self.refs.them()
        return [[replace(p, said={**p.said, "object": name}) if p is many else p for p in details] for name in names]

    def _figure_eight(self, verb: Phrase, details: list[Phrase]) -> None:
        """Read 'walk in a figure eight': a circle to one side, the left where it is not said, and one to the other."""
        walk = filled(self.refs, Movement("walk"), details, verb)
        first = walk.direction or "left"
        if walk != Movement("walk", direction=walk.direction, pace=walk.pace) or first not in ("left", "right"):
            raise BadInput(f"'{verb.text} in a figure eight' takes a pace, and left or right alone.")
        for side in (first, "right" if first == "left" else "left"):
            self.movements.append(replace(walk, direction="around", angle=360.0, side=side))

    def _zigzag(self, verb: Phrase, details: list[Phrase]) -> None:
        """Read 'walk in a zigzag': obliquely to the left, the right and the left, 1 m where nothing is said."""
        walk = filled(self.refs, Movement("walk"), details, verb)
        if walk != Movement("walk", direction=walk.direction, distance=walk.distance, pace=walk.pace):
            raise BadInput(f"'{verb.text} in a zigzag' takes a distance and a pace alone.")
        if walk.direction not in (None, "forward"):
            raise BadInput(f"'{verb.text} in a zigzag' goes forward only, not '{walk.direction}'.")
        leg = replace(walk, direction="forward", distance=round((walk.distance or 3.0) / 3.0, 2))
        left = Movement("turn", direction="left", angle=90.0, pace=walk.pace)
        right = replace(left, direction="right")
        self.movements += [replace(left, angle=45.0), leg, right, leg, left, leg, replace(right, angle=45.0)]

    def _is_taken_first(self, kind: str, moved: list[Phrase], source: Phrase) -> bool:
        """Whether something is taken from somewhere in a step of its own: 'bring the cup from it to the box'."""
        if not moved or not is_bare(moved[0]):
            return False
        return len(moved) > 1 or ("which" in source.said and kind in ("carry", "place"))

    def _preceded(self, kind: str, verb: Phrase, details: list[Phrase], source: Phrase | None) -> list[Phrase]:
        """The details without those that are movements of their own, which come first: taking, turning, walking."""
        moved = [p for p in details if p.sort == "object" and p is not source]
        if source and kind in _TAKES_AND_PUTS and self._is_taken_first(kind, moved, source):
            limbs = [p for p in details if p.sort == "limb"]
            self.movements.append(filled(self.refs, Movement("pick up"), [moved[0], source, *limbs], verb))
            details = [p for p in details if p is not source]
        if kind == "walk" and any(p.sort == "away" for p in details):
            around = Movement("turn", direction="around")
            self.movements += [around] if around not in self.movements[-1:] else []
            details = [p for p in details if p.sort != "away"]
        apart = source is not None and "which" not in source.said and all("to" in p.said for p in moved)
        if kind == "walk" and source and moved and apart:  # 'walk from the table to the chair'
            goal = object_of(self.refs, Movement("walk"), replace(source, said={**source.said, "to": "to"}), verb)
            self.movements += [] if goal.object in [m.object for m in self.movements[-1:]] else [goal]
            details = [p for p in details if p is not source]
        backs = kind in ("step", "back up")  # 'step back from it'
        left = next((p for p in details if "away" in p.said or (backs and p.said.get("preposition") == "from")), None)
        if left and (backs or kind in ("walk", "turn", "face")):
            backward = any(DIRECTION.get(p.said.get("way", "")) == "backward" for p in details)
            details = [*(p for p in details if p is not left), *self._away_from(kind, left, verb, backward)]
        return self._at_its_place(kind, verb, details)

    def _at_its_place(self, kind: str, verb: Phrase, details: list[Phrase]) -> list[Phrase]:
        """Go to what a movement is done at, or turn to it: 'wave next to the table', 'turn your back to the door'."""
        near = self._neighbour(kind, verb, details)
        if near is None:
            return details
        last = self.movements[-1] if self.movements else Movement("stand")
        past = last.object if last.kind == "walk" and last.direction == "around" and not last.angle else None
        if kind == "turn back":
            self.movements.append(object_of(self.refs, Movement("turn"), near, verb))
        elif "behind" not in near.said or past != object_of(self.refs, Movement("walk"), near, verb).object:
            there = near if {"beside", "part"} & set(near.said) else replace(near, said={**near.said, "next": "at"})
            walk = object_of(self.refs, Movement("walk"), there, verb)
            self.movements += [walk] if last != walk else []  # one is there already
        on_floor = [Phrase("object", near.text, {"preposition": "on", "object": "floor"})] if kind == "place" else []
        return [*(p for p in details if p is not near), *on_floor]

    def _neighbour(self, kind: str, verb: Phrase, details: list[Phrase]) -> Phrase | None:
        """What a movement is done at, or what is imagined beside its object; None: nothing of the kind is said."""
        objects = [p for p in details if p.sort == "object"]
        front = next((p for p in objects if "front" in p.said and "object" in p.said), None)
        if kind == "place" and front and self.refs.scene is None and category_of(front.said["object"]) not in LOOSE:
            self._take(verb, details)  # 'put the box in front of the chair'
            return front
        if kind == "turn back" and verb.text.startswith("turn your back"):
            return next((p for p in objects if "to" in p.said), None)
        if kind in _FOUND_BESIDE and self.refs.scene is None and any(map(is_bare, objects)):
            beside = next((p for p in objects if "next" in p.said and "object" in p.said), None)
            name = self.refs.called(beside.said["object"], beside.said, Movement("walk")) if beside else ""
            return None if category_of(name) in ONE_HANDED else beside
        in_place = kind in KINDS and "object" not in KINDS[kind].takes and kind not in ("step", "rise", "lower")
        floor = kind == "sweep" and any(p.said.get("object") == "floor" for p in objects)
        return next((p for p in objects if is_nearby(p, kind)), None) if in_place or floor else None

    def _away_from(self, kind: str, left: Phrase, verb: Phrase, backward: bool) -> list[Phrase]:
        """Face what is gone or turned away from, and say which way that is: back, or around."""
        said = {name: value for name, value in left.said.items() if name not in ("away", "preposition")}
        faced = object_of(self.refs, Movement("turn"), replace(left, said={**said, "to": "to"}), verb)
        if not any(faced.object in m.objects for m in self.movements[-1:]):
            self.movements.append(faced)
        if kind == "walk" and not backward:
            self.movements.append(Movement("turn", direction="around"))
        way = {"step": "backward", "turn": "around", "face": "around"}.get(kind)
        return [Phrase("way", way, {"way": way})] if way else []

    def _add(self, movement: Movement) -> None:
        """Append a movement; what the hands have taken already is not taken again: 'grab the box and lift it up'."""
        if movement.kind in ("place", "carry") and movement.side:
            self._hold_with(movement)
        last = self.movements[-1] if self.movements else movement
        held = movement.kind == "pick up" and movement.object and not movement.at and self.refs.holds(movement.name)
        if not held or movement.side or movement.count:
            self.movements.append(movement)
        elif last.kind == "pick up" and last.object == movement.object and 1.0 in (last.pace, movement.pace):
            self.movements[-1] = replace(last, pace=last.pace * movement.pace)
        else:
            self.movements.append(Movement("hold", object=movement.object))

    def _hold_with(self, movement: Movement) -> None:
        """Take an object with the hand that is named later: 'take the cup and put it down with your left hand'."""
        taken = [k for k, m in enumerate(self.movements) if m.kind in HANDLED and m.object == movement.object]
        if not taken or not self.refs.holds(movement.name):
            return
        last = self.movements[taken[-1]]
        if last.side not in (None, movement.side):
            raise BadInput(f"The {movement.name} is held with the {last.side} hand, not the {movement.side}: say one.")
        for k in reversed(taken):
            if self.movements[k].kind == "place":
                break
            self.movements[k] = replace(self.movements[k], side=movement.side)

    def _with_goal(self, movement: Movement) -> Movement:
        """The movement, done to, or on, what was walked to where it is not said: 'walk to the door and knock'."""
        last = next((m for m in reversed(self.movements) if m.kind != "stand"), movement)
        struck = last.kind == "walk" and category_of(last.object or "") in _STRUCK.get(movement.kind, ())
        if struck and not movement.object:
            return replace(movement, object=last.object)
        goal = self.refs.there() if last.kind in ("walk", "carry") else None
        if movement.kind == "place" and not movement.at and goal and self.refs.like(goal).get("supports"):
            return replace(movement, at=goal)  # 'carry it to the table and put it down'
        return movement

    def _polygon(self, verb: Phrase, polygon: Phrase, details: list[Phrase]) -> None:
        """Read 'walk in a square': so many sides, 1 m where nothing is said, with a turn after each, to the left."""
        said = polygon.said
        length = [Phrase("amount", polygon.text, {n: said[n] for n in ("number", "unit")})] if "number" in said else []
        walk = filled(self.refs, Movement("walk"), [*details, *length], verb)
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
        if first.kind == "stand" or second == Movement("stand"):  # 'nod while standing'
            gesture, stand = (second, first) if first.kind == "stand" else (first, second)
            self.movements[-2:] = [replace(gesture, seconds=stand.seconds or gesture.seconds)]
            return
        if second == _RAISED_FORWARD and first.kind == "squat" and not first.distance:
            self.movements.pop()
            return
        if taken := next((m for m in (first, second) if m.kind in ("hold", "carry") and m.object and not m.at), None):
            meanwhile = second if taken is first else first  # 'walk to the door while holding the cup'
            self.movements[-2:] = []
            held = self.refs.holds(taken.name)
            both = taken.side == "both" or (self.refs.scene is None and category_of(taken.name) not in ONE_HANDED)
            if (used := arms_used(meanwhile)) and len(used) + 1 + both > 2:
                raise BadInput(f"'{meanwhile.kind}' needs a hand, but the {taken.object} is held meanwhile.")
            self.movements += [meanwhile] if held else [replace(taken, kind="pick up", direction=None), meanwhile]
            return
        walked = self.movements[-3:-2]
        if before.separator == "and" and len(clause.phrases) == 1 and [a.kind for a in walked] == [second.kind]:
            second = self.movements.pop(-3)  # 'walk two metres and wave while walking' walks once
        if second.kind in WITH_GESTURES:
            feet, gesture, text = second, first, before.text
        else:
            feet, gesture, text = first, second, clause.text
        if gesture_of(text) != gesture:
            raise BadInput(f"'{before.text}' and '{clause.text}' are not done at the same time: {_MEANWHILE}.")
        amounts = (feet.object, feet.distance, feet.count, feet.seconds, feet.angle)
        if gesture.seconds and feet.kind in _GO_ON and feet.direction != "around" and not any(amounts):
            feet, text = replace(feet, seconds=gesture.seconds), instruction_of(replace(gesture, seconds=None))
        self.movements[-2:] = [replace(feet, meanwhile=text)]

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
            p
            for p in details
            if p.sort in ("there", "pose") or {"it", "them"} & set(p.said) or p.sort == "direction" or p.sort == "limb"
        ]
        stays = VERB_KIND[verb.text] == "hold" or verb.text.startswith(("stay", "remain"))
        if not pronoun and not (stays and any(p.sort in ("amount", "moment") for p in details)):
            return False
        if any(p.said.get("object") for p in details):
            return False
        rest = [p for p in details if p not in pronoun]
        rest = [p for p in rest if p.sort != "moment"]  # which a pose is held for anyway
        if not rest and not any(p.sort == "moment" for p in details):
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
        others = [p for p in details if p.sort not in ("limb", "again") and not {"it", "them"} & set(p.said)]
        paces = [p for p in others if p.sort == "pace"]
        if others == paces and (lowered := self._left_up(limbs, paces)):
            self.movements.append(lowered)
            return True
        if last.kind not in ARM_GESTURES | {"lift knee"}:
            raise BadInput(
                f"There is nothing to {verb.text if verb.text.startswith('lower') else 'put down'}: every gesture ends "
                "with the arms down."
            )
        if others or ("side" in KINDS[last.kind].takes and filled(self.refs, last, limbs, verb) != last):
            raise unfit(verb.text, (others or limbs)[0])
        return True

    def _left_up(self, limbs: list[Phrase], paces: list[Phrase]) -> Movement | None:
        """Lowering of arms that stay up until then, if these are the limbs that are lowered; else None.

        What was raised last comes down by itself, but for a pace at which it does.
        """
        up: set[str] = set()
        for movement in self.movements:
            sides = arms_used(movement)
            up = up | sides if movement.kind == "raise" else up - sides
        last = self.movements[-1] if self.movements else None
        lower = filled(self.refs, Movement("lower"), [*limbs, *paces], Phrase("verb", "lower"))
        down = up if lower.side in (None, "both") else set(sides_of(lower.side))
        alone = not paces and last is not None and last.kind == "raise" and down <= set(sides_of(last.side))
        if alone or not down or not down <= up:
            return None
        return replace(lower, side="both" if len(down) == 2 else "left" if "left" in down else "right")

    def _repeats(self, clause: Clause, last: Movement) -> bool:
        """Read 'again', or how often what was said is done; False: the clause says more than that."""
        often = next((p for p in clause.phrases if is_count(p)), None)
        rest = [p for p in clause.phrases if p is not often]
        if [p.sort for p in rest] == ["repeat"]:
            self.movements += self._repeated(rest[0], often)
            return True
        if [p.sort for p in rest] == ["again"]:
            whole = rest[0].text.startswith("do ")  # 'wave and bow, then do it again'
            alone = self.movements[self.sentence :]
            if len(alone) > 1:
                what = "whole sentence" if whole else "last step"
                self.notes.append(f"'{rest[0].text}' was read as the {what} again")
            self.movements += (alone if whole else [last]) * (times(often) if often else 1)
            return True
        if often and rest and clause.separator == "and" and last.count is None and last.seconds is None:
            self._go_on(Clause("and", rest))  # 'look left and right twice'
            self.movements[self.verb :] = self.movements[self.verb :] * times(often)
            return True
        alone = self.movements[self.sentence :]
        if often and not rest and clause.separator == "," and (len(alone) > 1 or last.kind in MOVES_FEET):
            self.movements += alone * (times(often) - 1)  # 'wave and bow, twice'
            return True
        return False

    def _repeated(self, repeat: Phrase, often: Phrase | None) -> Sequence[Movement]:
        """What 'repeat this four times', or 'on the other side', adds to the sentence before."""
        said = self.movements[self.sentence :]
        if "mirrored" in repeat.said:
            sided = list(takewhile(lambda both: both[0] != both[1], ((m, mirrored(m)) for m in reversed(said))))
            if not sided:
                raise BadInput(
                    f"'{said[-1].kind}' has no side, so '{repeat.text}' is not clear: say what is to be done."
                )
            return [other for _, other in reversed(sided)] * (times(often) if often else 1)
        assert often  # else the phrase would not be one
        self.notes.append(f"'{repeat.text} {often.text}' was read as {often.text} in all")
        return said * (times(often) - 1)

    def _go_on(self, clause: Clause) -> None:
        """Read a clause without a verb: a detail that is still open, or the last movement once more."""
        last = self.movements[-1]
        verb = Phrase("verb", last.kind)
        if [p.text for p in clause.phrases] == ["back"] and last.kind in ("look", "twist", "bow"):
            return  # as they end anyway
        if self._repeats(clause, last):
            return
        if last.kind == "pick up" and any("to" in p.said for p in clause.phrases):  # 'take the cup and the ball to it'
            last = replace(last, kind="carry", direction=None)
            self.movements[-1] = last
        if last.object and last.kind in _ELLIPTICAL and last.object != START:  # 'walk to the table, then the chair'
            word = last.direction if last.direction in ("around", "over", "under") else _ELLIPTICAL[last.kind]
            key = "to" if word == "to" else "preposition"
            clause.phrases = [
                replace(p, said={**p.said, key: word}) if p.sort == "object" and is_bare(p) else p
                for p in clause.phrases
            ]
        if clause.separator == "," or self.detailed or all(p.sort == "pace" for p in clause.phrases):
            try:  # 'walk forward, two metres'
                self.movements[-1] = filled(self.refs, last, clause.phrases, verb)
                self.detailed = clause.separator == ","  # 'wave, slowly and with your left hand' waves once
                return
            except BadInput:
                pass
        bare = _unsaid(last, clause.phrases)
        self.movements.append(filled(self.refs, bare, clause.phrases, verb))
        at, k = self.movements[-1].at, len(self.movements) - 2
        while at and k >= 0 and (one := self.movements[k]).kind == last.kind and one.at is None and one.object:
            if one.direction == "down":
                break
            side = one.direction if self.movements[-1].part else None
            if side == "left" or side == "right":  # 'the cup on the left and the ball on the right side of it'
                one = replace(one, direction=None, part=side)
            self.movements[k], k = replace(one, at=at), k - 1  # 'put the cup and the ball on it'
