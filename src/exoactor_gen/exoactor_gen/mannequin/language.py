"""The mannequin's task language: a sentence becomes a plan of timed actions, or one clear error.

The text is cut into phrases by a table of patterns (`_GRAMMAR`), so that every word is in one phrase: what matches no
pattern is a phrase that is not understood. Phrases between separators ('then', 'and', commas) make a clause with one
verb, whose action must take each of the others. So no word is left over: it is used, or the error names it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from exoactor_core.errors import BadInput


@dataclass(frozen=True)
class Action:
    """One thing to do. Fields that the words left open are None, and the choreography has a default for each."""

    kind: str
    side: str | None = None
    """'left', 'right' or 'both': which hand, arm or foot."""
    direction: str | None = None
    """'forward', 'backward', 'left', 'right', 'up', 'down', 'side' or 'around'."""
    distance: float | None = None
    """Metres."""
    angle: float | None = None
    """Degrees."""
    count: int | None = None
    seconds: float | None = None
    pace: float = 1.0
    """Factor on the speed: 0.75 slowly, 1.1 quickly."""
    thing: str | None = None
    """What it is done to, such as 'ball'. Those in `SHOWN` stand in the room, others are mimed."""
    at: str | None = None
    """What the thing is put on or into, taken from, or carried to; 'floor' too."""

    def __str__(self) -> str:
        pace = "" if self.pace == 1.0 else "slowly" if self.pace < 1.0 else "quickly"
        parts = (
            self.kind,
            self.direction if self.kind != "pick up" else "",
            self.distance and f"{self.distance:g} m",
            self.angle and f"{self.angle:g} degrees",
            self.side and f"{self.side} side{'s' if self.side == 'both' else ''}",
            self.count and f"x{self.count}",
            self.seconds and f"{self.seconds:g} s",
            pace,
            self.thing and self._what(),
            self.at and f"{_AT.get(self.kind, 'on')} the {self.at}",
        )
        return " ".join(str(p) for p in parts if p)

    def _what(self) -> str:
        if self.thing == START:
            return "back to the start"
        if self.thing not in SHOWN:
            return f"({self.thing}, mimed)"
        before = "" if self.direction == "around" else _TO.get(self.kind, "")
        return f"{before}the {self.thing}"


@dataclass(frozen=True)
class Plan:
    """Actions in order."""

    actions: tuple[Action, ...]

    def __str__(self) -> str:
        return ", then ".join(str(a) for a in self.actions)


@dataclass(frozen=True)
class _Kind:
    """Which directions and details an action takes."""

    directions: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()


def _kind(directions: str, takes: str) -> _Kind:
    return _Kind(frozenset(directions.split()), frozenset(takes.split()))


def _words_of(text: str) -> list[str]:
    return text.split()


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


KINDS: dict[str, _Kind] = {
    "walk": _kind("forward backward left right around", "distance angle count side thing"),
    "step": _kind("forward backward left right", "distance count side"),
    "turn": _kind("left right around", "angle thing"),
    "wave": _kind("", "side count seconds"),
    "raise": _kind("up forward side", "side count seconds"),
    "reach": _kind("forward up down left right", "side count seconds thing at"),
    "point": _kind("forward up down left right", "side count seconds thing at"),
    "squat": _kind("down", "count seconds"),
    "bow": _kind("forward down", "count seconds angle"),
    "sit": _kind("down", "count seconds thing"),
    "rise": _kind("up", ""),
    "kick": _kind("forward", "side count thing"),
    "clap": _kind("", "count seconds"),
    "punch": _kind("forward", "side count thing"),
    "look": _kind("left right up down forward", "angle seconds count thing"),
    "nod": _kind("", "count seconds"),
    "march": _kind("", "count seconds"),
    "push": _kind("forward", "side count seconds distance thing at"),
    "pick up": _kind("up", "side count thing at"),
    "touch": _kind("", "side count seconds thing at"),
    "hold": _kind("up", "side seconds thing at"),
    "place": _kind("down", "side thing at"),
    "carry": _kind("forward", "side distance thing at"),
    "sweep": _kind("", "count seconds"),
    "stand": _kind("", "seconds"),
}
"""What the mannequin can do, and the details that each takes."""

KNOWN = (
    "walk, step, march in place, turn, wave, raise, reach, point, squat, bow, sit down and stand up, kick, clap, "
    "punch, look, nod, push, touch, pick up, hold, carry, place, sweep, stand or wait; things to walk to or around, to "
    "use, to point at and to sit on are a table, chair, bottle, cup, basket, box, ball and punching bag"
)

_VERBS = {
    "walk": "walk go come move stroll march advance",
    "step": "step",
    "turn": "turn rotate",
    "wave": "wave",
    "raise": "raise lift",
    "reach": "reach stretch",
    "point": "point",
    "squat": "squat crouch",
    "bow": "bow bend",
    "sit": "sit",
    "rise": "rise straighten",
    "kick": "kick",
    "clap": "clap applaud",
    "punch": "punch jab hit",
    "look": "look glance",
    "nod": "nod",
    "push": "push shove slide",
    "pick up": "pick grab grasp",
    "touch": "touch tap pat",
    "hold": "hold",
    "place": "put place set lay",
    "carry": "carry bring",
    "sweep": "sweep mop",
    "stand": "stand wait stay pause stop",
    "approach": "approach",
    "avoid": "avoid",
    "face": "face",
    "take": "take",
    "return": "return",
}
"""Words by the action that they name; the last five name one together with what follows (see `_Reader`)."""


def _forms(word: str) -> tuple[str, ...]:
    third = f"{word[:-1]}ies" if word.endswith("ry") else f"{word}es" if word.endswith(("h", "o", "s")) else f"{word}s"
    return word, third, f"{word.removesuffix('e')}ing", f"{word}{word[-1]}ing"


_VERB = {form: kind for kind, words in _VERBS.items() for word in words.split() for form in _forms(word)}
_VERB |= {
    **dict.fromkeys(("stand up", "stands up", "standing up", "get up", "gets up", "straighten up"), "rise"),
    **dict.fromkeys(("stand back up", "stand straight up", "stand right up", "rise up"), "rise"),
    **dict.fromkeys(
        ("stand still", "stands still", "standing still", "stay still", "hold still", "keep still"), "stand"
    ),
    **dict.fromkeys(("say hello", "say hi", "say goodbye", "say bye", "says hello", "wave hello"), "wave"),
    **dict.fromkeys(("wave goodbye", "wave bye"), "wave"),
    **dict.fromkeys(("take a seat", "have a seat"), "sit"),
    **dict.fromkeys(("take a look", "have a look"), "look"),
    **dict.fromkeys(("look around", "look all around"), "look around"),
    **dict.fromkeys(("pickup", "pick up", "picks up", "picking up"), "pick up"),
    **dict.fromkeys(("turn back",), "turn back"),
}
_NOUNS = {
    **{noun + plural: kind for noun, kind in (("step", "step"), ("turn", "turn"), ("squat", "squat"), ("bow", "bow"),
       ("clap", "clap"), ("kick", "kick"), ("wave", "wave"), ("nod", "nod")) for plural in ("", "s")},
    "punch": "punch", "punches": "punch", "circle": "turn", "rotation": "turn", "rotations": "turn",
}  # fmt: skip
"""What one does so many of: 'three squats', 'a half turn'."""
_DIRECTION = {
    "forward": "forward forwards ahead front onward onwards",
    "backward": "backward backwards back",
    "left": "left leftward leftwards counterclockwise anticlockwise",
    "right": "right rightward rightwards clockwise",
    "up": "up upward upwards overhead high above",
    "down": "down downward downwards",
    "side": "side sides sideways",
    "around": "around round",
}
_DIRECTION = {word: name for name, words in _DIRECTION.items() for word in words.split()}

_HAND = _set("hand hands arm arms fist fists")
_FOOT = _set("foot feet leg legs")
_HEAD = _set("head gaze eyes")
_PARTS = _HAND | _FOOT | _HEAD | _set("knee knees waist")
_HAND_KINDS = _set("wave raise reach point clap punch push touch carry hold place sweep") | {"pick up"}
_FOOT_KINDS = _set("kick walk step march")
_SIDE_FIRST = _set("wave raise kick punch")
"""Here a bare 'left' or 'right' means the limb; elsewhere it means the direction."""

START = "start"
"""Where the person began, as something to walk to."""
SHOWN = _set("table chair bottle cup basket box ball bag")
"""What can stand in the room."""
_AT = {"carry": "to", "pick up": "from"}
_TO = {"walk": "to ", "turn": "to ", "sit": "on ", "reach": "for ", "point": "at ", "look": "at "}
_THINGS = SHOWN | _set("object thing something wall door shelf button handle bar target floor ground")
_CALLED = {
    **dict.fromkeys(("desk",), "table"),
    **dict.fromkeys(("crate", "carton", "obstacle", "package", "parcel", "cube"), "box"),
    **dict.fromkeys(("seat", "stool"), "chair"),
    **dict.fromkeys(("mug", "glass"), "cup"),
    **dict.fromkeys(("bin", "bucket"), "basket"),
    **dict.fromkeys(("punching bag", "sandbag"), "bag"),
    "football": "ball",
    "ground": "floor",
}
"""Other names of what can be shown."""
_ON, _TOWARDS = "on onto upon", "to towards toward"
_THING_AFTER: dict[str, str] = {
    "walk": _TOWARDS, "turn": _TOWARDS, "reach": f"- for {_TOWARDS}", "point": f"at {_TOWARDS}", "kick": "- against",
    "sit": "on in onto", "punch": "- against", "look": f"at {_TOWARDS}", "push": "- against", "pick up": "-",
    "touch": f"- against to {_ON}", "hold": "-", "place": "-", "carry": "-",
}  # fmt: skip
"""By kind, the words after which stands what it is done to; '-': none."""
_AT_AFTER: dict[str, str] = {
    "reach": _ON, "point": _ON, "push": "on", "pick up": "on off from", "touch": "on", "hold": "on",
    "place": f"{_ON} in into inside", "carry": _TOWARDS,
}  # fmt: skip
"""Likewise for what that stands on, or is brought to."""
_PREPOSITIONS = _set(f"{_ON} in into inside from off at for against around round past over {_TOWARDS}")
_TAKE_AT = frozenset(kind for kind, details in KINDS.items() if "at" in details.takes)
_FUNCTION_WORDS = _PREPOSITIONS | _set("the a an your my his her its their that this with by of do does take make")
"""Where other words are not understood either, these need not be named."""

_ONES = _words_of(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_NUMBER: dict[str, float] = {word: float(i) for i, word in enumerate(_ONES)}
_TENS = {w: 10.0 * (i + 2) for i, w in enumerate(_words_of("twenty thirty forty fifty sixty seventy eighty ninety"))}
_UNITS: dict[str, dict[str, float]] = {
    "distance": {
        **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
        **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters"), 0.01),
        **dict.fromkeys(("ft", "foot", "feet"), 0.3048),
        **dict.fromkeys(("inch", "inches"), 0.0254),
    },
    "angle": {
        **dict.fromkeys(("degree", "degrees", "deg", "°"), 1.0),
        **dict.fromkeys(("radian", "radians", "rad"), 57.29577951308232),
    },
    "seconds": {
        **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
        **dict.fromkeys(("minute", "minutes", "min"), 60.0),
    },
    "count": dict.fromkeys(("time", "times"), 1.0),
    "steps": dict.fromkeys(("step", "steps"), 1.0),
}
_TIMES = {"once": 1, "twice": 2, "thrice": 3}
_PACE = {
    "slowly": 0.75, "slow": 0.75, "gently": 0.75, "carefully": 0.75, "quickly": 1.1, "fast": 1.1, "quick": 1.1,
}  # fmt: skip
_SLIGHT: dict[str, dict[str, float]] = {
    "walk": {"distance": 0.5}, "turn": {"angle": 30.0}, "bow": {"angle": 20.0}, "look": {"angle": 20.0},
}  # fmt: skip
"""What 'a bit' is."""
_RANGES = {"distance": (0.05, 20.0), "angle": (1.0, 720.0), "count": (1, 30), "seconds": (0.2, 60.0)}
_UNIT_NAMES = {"distance": "metres", "angle": "degrees", "count": "times", "seconds": "seconds"}
_POSES = _set("squat bow raise reach point sit look")
"""What can be held."""


# --- words to phrases -------------------------------------------------------------------------------------------------


def _either(words: Iterable[str]) -> str:
    """Pattern of any of the words, longest first."""
    return "(?:" + "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True)) + ")"


_DET = r"(?:(?:the|your|my|his|her|its|their|an?|that|this) )?"
_ONE_WORD = rf"(?:{_either(_TENS)}(?: {_either(_ONES[1:10])})?|{_either(_ONES)})"
_DIGITS = r"(?<![\w.,:/+−-])(?:\d+(?:\.\d+|,\d{1,2})?|\.\d+)(?![.,:/−-]?\d)"
"""With a decimal point or comma. '1,500' may be one and a half or many, so it is no number; nor is '-2'."""
_FIGURE = rf"(?:{_DIGITS}|\b(?:(?:an?|{_either(_ONES)}) hundred(?: (?:and )?{_ONE_WORD})?|{_ONE_WORD})\b)"
_QUANTITY = (
    rf"(?:(?:an? |one )?(?:half|quarter)(?: of)?(?: an?)?|an? couple(?: of)?"
    rf"|{_FIGURE}(?: and an? (?:half|quarter))?|an?|(?:an? |one )?full)"
)
_WHO = r"(?:(?:the |a )?(?:robot|person|human|man|woman|humanoid|g1))"
_UNIT = _either(unit for name, units in _UNITS.items() if name != "steps" for unit in units)
_THING = _either({*_THINGS, *_CALLED})

_GRAMMAR = {
    name: re.compile(pattern)
    for name, pattern in (
        ("separator", r"(?:(?:[,;.!?]|(?:and|then|afterwards|finally|lastly|first|also|now)\b|next\b(?! to\b)"
                      r"|after (?:that|this)\b) ?)+"),
        ("polite", r"(?:please|kindly)\b"),
        ("opening", rf"(?:(?:can|could|would|will) (?:you|{_WHO})|i(?:'d like| would like| want) (?:you|{_WHO}) to"
                    rf"|(?:make|let|have) {_WHO}|let us|let's|(?:go|come) and(?= [a-z])|(?:start|begin)(?: to"
                    rf"| by)?(?= [a-z])"
                    rf"|(?:{_WHO}|he|she|they|you|we|i)(?: (?:should|must|shall|will|has to|have to))?)\b"),
        ("again", r"(?:again|once (?:more|again)|one more time)\b"),
        (START, r"(?:back )?to (?:(?:the|your|its|his|her) (?:start|starting (?:point|position|place)|beginning|origin)"
                r"|where (?:you|it|he|she|they) (?:started|began|came from))\b"),
        ("in place", r"(?:in place|on the spot)\b"),
        ("circle", r"(?:(?:around )?in )?(?:a|one) (?:full |whole )?circle\b(?! around)|(?:(?:in )?(?:a"
                   r"|one) (?:full |whole )?circle"
                   r"|all(?: the way)?)(?= (?:around|round)\b)"),
        ("everyone", r"(?:to|at) (?:everyone|everybody|someone|somebody|(?:the )?people|the audience)\b"),
        ("deed", rf"(?:(?:takes?|does|do|makes?|performs?"
                 rf"|gives?) )?(?:(?P<number>{_QUANTITY}) (?:full )?(?P<noun>{_either(_NOUNS)})"
                 r"|an? (?P<way>left|right) turn)\b"),
        ("verb", rf"{_either(_VERB)}\b"),
        ("amount", rf"(?:(?P<before>for|by|in) )?(?P<number>{_QUANTITY}) ?(?P<unit>{_UNIT}"
                   rf"|(?<=[^a] )steps?)(?![\w/])|(?P<word>once|twice|thrice)\b"),
        ("number", rf"{_FIGURE}(?!\w)"),
        ("moment", r"(?:for )?a moment\b"),
        ("pace", rf"{_either(_PACE)}\b"),
        ("slight", r"(?:a (?:little )?bit|a little|slightly)\b"),
        ("above", r"(?:in the air|(?:up )?(?:above|over) (?:your|the|his|her|its) head)\b"),
        ("limb", rf"(?:(?:with|using) )?{_DET}(?:(?P<both>left and (?:your |the )?right|right and (?:your "
                 rf"|the )?left|both(?: of)?"
                 rf"(?: your| the)?)|(?P<side>left|right|one))? ?\b(?P<part>{_either(_PARTS)})\b"
                 r"|with (?:the|your|his|her|its) (?P<only>left|right)\b"),
        ("broom", rf"(?:with|using) {_DET}(?:broom|mop)\b"),
        ("direction", rf"(?:straight |out )?(?:to|on) (?:(?:the|your|its|his|her) )?(?P<aside>left|right|front"
                      rf"|sides?)(?: hand)?(?: side)?\b"
                      rf"|(?:straight )?(?P<way>{_either(_DIRECTION)})\b(?! to\b| towards?\b| it\b| {_DET}{_THING}\b)"
                      rf"|(?P<straight>straight)\b(?! to\b)"),
        ("thing", rf"(?:(?:(?:back|up|over|straight|right|closer) )?(?P<to>to|towards?) "
                  rf"|(?P<preposition>{_either(_PREPOSITIONS)}) )?"
                  rf"(?:{_DET}(?P<thing>{_THING})|(?P<it>it))\b"),
        ("there", r"there\b"),
        ("way", rf"(?P<way>{_either(_DIRECTION)})\b"),
    )
}  # fmt: skip
"""What words can mean, in the order in which it is tried at each place. What matches none is not understood."""


_WORD = re.compile(
    rf"(?:like|as|without) (?:(?:an?|the) )?\w+|[+−-]\d[\w.,]*(?: {_UNIT}\b)?|[+−-]?\w+(?:[.,:/'−-]\w+)*|\S"
)
"""What is named where nothing matches."""


@dataclass(frozen=True)
class _Phrase:
    """Some words of the instruction that mean one thing; every word is in exactly one of them."""

    sort: str
    """Name in `_GRAMMAR`, or 'unknown'."""
    text: str
    said: dict[str, str] = field(default_factory=dict)
    """What the pattern's groups matched."""


@dataclass
class _Clause:
    """What stands between two separators: a verb with its details, or details alone."""

    separator: str
    phrases: list[_Phrase] = field(default_factory=list)

    @property
    def verbs(self) -> list[_Phrase]:
        """What names an action."""
        return [p for p in self.phrases if p.sort in ("verb", "deed")]


def _plain(text: str) -> str:
    """The instruction in lower case, with single spaces."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    text = " ".join(text.split()).strip("\"'“”„« »")
    text = re.sub(r"(?<=[a-z])-(?=[a-z])|(?<=\d)-(?=[a-z])", " ", text)  # 'forty-five', '90-degree'
    return re.sub(r"\b(counter|anti) clockwise", r"\1clockwise", text)


def _phrases(text: str) -> Iterator[_Phrase]:
    """Cut the text into phrases: each character but spaces is in one."""
    at, opening = 0, True
    while at < len(text):
        for sort, pattern in _GRAMMAR.items():
            found = pattern.match(text, at) if sort != "opening" or opening else None
            if found:
                said = {name: value for name, value in found.groupdict().items() if value}
                yield _Phrase(sort, found[0].strip(), said)
                break
        else:
            found, sort = _WORD.match(text, at), "unknown"
            yield _Phrase(sort, found[0])
        opening = sort in ("separator", "polite") or (opening and sort == "opening")
        at = found.end()
        while text[at : at + 1] == " ":
            at += 1


def parse(instruction: str) -> Plan:
    """Read an instruction.

    Raises
    ------
    BadInput
        It is empty, holds words that are not understood, a detail that the action does not take, or a figure out of
        range; the message names the words.
    """
    text = _plain(instruction)
    if not re.search(r"\w", text):
        raise BadInput(f"The instruction is empty: say what to do, for example 'walk forward two metres' ({KNOWN}).")
    phrases = [p for p in _phrases(text) if p.sort not in ("polite", "opening")]
    unknown = [p.text for p in phrases if p.sort == "unknown"]
    if unknown:
        raise _not_understood([w for w in unknown if w not in _FUNCTION_WORDS] or unknown)
    clauses = [_Clause("")]
    for phrase in phrases:
        if phrase.sort == "separator":
            clauses.append(_Clause(phrase.text))
        else:
            clauses[-1].phrases.append(phrase)
    return Plan(_Reader([c for c in clauses if c.phrases]).read())


def _not_understood(words: Sequence[str]) -> BadInput:
    named = ", ".join(f"'{w[:60]}'{_suggested(w)}" for w in list(dict.fromkeys(words))[:12])
    return BadInput(
        f"The mannequin does not understand {named}: it knows {KNOWN}, with sides, directions, distances, angles, "
        "counts and seconds; other backends can do more (see 'exoactor doctor')."
    )


def _suggested(word: str) -> str:
    """What a misspelt word may have been."""
    groups = (_VERB, _THINGS, _CALLED, _DIRECTION, *_UNITS.values(), _NUMBER, _TENS, _HAND, _FOOT, _PACE, _TIMES)
    alike = [w for group in groups for w in group if w[0] == word[0] and abs(len(w) - len(word)) < 2 and w != word]
    return "".join(f" (did you mean '{near}'?)" for near in get_close_matches(word, alike, 1, 0.75))


# --- phrases to actions -----------------------------------------------------------------------------------------------


class _Reader:
    """Makes actions of clauses. Each phrase of a clause is used for its action, or refused by name."""

    def __init__(self, clauses: list[_Clause]) -> None:
        self.clauses = clauses
        self.actions: list[Action] = []

    def read(self) -> tuple[Action, ...]:
        """Read all clauses, in their order."""
        pending: list[_Phrase] = []  # details that come before their verb, such as 'with your left hand, wave'
        for k, clause in enumerate(self.clauses):
            after = self.clauses[k + 1] if k + 1 < len(self.clauses) else None
            if clause.verbs:
                self._act(clause, pending)
                pending = []
            elif not self.actions or (
                after and after.verbs and after.separator == "," and clause.separator != ","
                and all(p.sort == "limb" for p in clause.phrases)
            ):  # fmt: skip
                pending += clause.phrases
            else:
                self._go_on(clause)
        if pending or not self.actions:
            raise BadInput(f"The instruction names no action: say what to do ({KNOWN}).")
        return settled(self.actions)

    def _act(self, clause: _Clause, pending: list[_Phrase]) -> None:
        verb, *more = clause.verbs
        if more and verb.sort == "verb" and more[0].sort == "deed":  # 'turn a quarter turn', 'walk two steps'
            kind = _NOUNS.get(more[0].said.get("noun", "turn"))
            if kind == _VERB[verb.text] or {kind, _VERB[verb.text]} == {"walk", "step"}:
                more = more[1:]
        if more:
            raise BadInput(
                f"The mannequin does not understand '{more[0].text}' after '{verb.text}': join actions with 'and' or "
                "'then'."
            )
        details = [*pending, *(p for p in clause.phrases if p is not verb or p.sort == "deed")]
        kind = _NOUNS.get(verb.said.get("noun", "turn")) if verb.sort == "deed" else _VERB[verb.text]
        if kind == "return":
            kind, details = "walk", details or [_Phrase(START, "return")]
        if kind in ("hold", "stand") and self._stays(verb, details):
            return
        if (
            kind == "stand"
            and verb.text.startswith("stand")
            and self.actions
            and self.actions[-1].kind in ("sit", "squat", "bow")
        ):
            self.actions.append(Action("rise"))
        if kind == "look around":
            self.actions += [Action("look", direction="left"), Action("look", direction="right")]
            kind = "look"
            if details:
                raise _unfit(verb.text, details[0])
            return
        self._fill(self._opened(kind, verb, details), details, verb)

    def _opened(self, kind: str, verb: _Phrase, details: list[_Phrase]) -> Action:
        """The bare action of a verb, which may depend on what follows it."""
        things = [p for p in details if p.sort == "thing"]
        limbs = [p for p in details if p.sort == "limb" and p.said.get("part") in _HAND]
        second = things[1].said if len(things) > 1 else {}
        if kind in ("walk", "step") and any(p.sort == "in place" for p in details):
            return Action("march")
        if kind == "place" and limbs and not limbs[0].text.startswith(("with", "using")):
            return Action("touch" if things else "raise")
        if kind == "take" or (kind == "walk" and verb.text.startswith("mov") and things and _bare(things[0])):
            if "to" in second:
                return Action("carry")
            if kind == "take":
                return Action("pick up", direction="up")
            return Action("place" if second else "push")
        if kind == "pick up" and " up" in verb.text:
            return Action(kind, direction="up")
        if kind == "pick up" and verb.text == "pickup":
            return Action(kind, direction="up")
        if kind == "raise" and things and _bare(things[0]):
            return Action("pick up")
        bent = next((p for p in details if p.said.get("part") in ("knee", "knees")), None)
        if kind == "bow" and bent:
            return Action("squat")
        if kind == "turn" and any(p.said.get("part") in _HEAD for p in details):
            return Action("look")
        return {
            "approach": Action("walk"),
            "avoid": Action("walk", direction="around"),
            "face": Action("turn"),
            "turn back": Action("turn", direction="around"),
        }.get(kind) or Action(kind)

    def _stays(self, verb: _Phrase, details: list[_Phrase]) -> bool:
        """Read 'stay there for 3 seconds' and 'hold it for 3 seconds' as part of the pose before; False: it is not."""
        last = self.actions[-1] if self.actions else None
        if last is None or last.kind not in _POSES or last.thing not in (None, "chair") or verb.text == "stop":
            return False
        pronoun = [
            p for p in details if p.sort == "there" or "it" in p.said or p.sort == "direction" or p.sort == "limb"
        ]
        if not pronoun and _VERB[verb.text] != "hold":
            return False
        if any(p.said.get("thing") for p in details):
            return False
        rest = [p for p in details if p not in pronoun]
        if not any(p.sort == "amount" for p in rest):
            raise BadInput(
                f"'{' '.join([verb.text, *(p.text for p in details)])}' does not say for how long: a task ends "
                "upright, with the arms down; say for example 'for 3 seconds'."
            )
        for phrase in pronoun:
            if phrase.sort == "direction" and phrase.said.get("way") != last.direction and last.kind != "squat":
                raise _unfit(verb.text, phrase)
            if phrase.sort == "limb" and phrase.said.get("part") not in _HAND:
                raise _unfit(verb.text, phrase)
        for phrase in rest:
            if phrase.sort != "amount" or phrase.said.get("unit") not in _UNITS["seconds"]:
                raise _unfit(verb.text, phrase)
            self.actions[-1] = _amount(self.actions[-1], phrase)
        return True

    def _go_on(self, clause: _Clause) -> None:
        """Read a clause without a verb: a detail that is still open, or the last action once more."""
        last = self.actions[-1]
        verb = _Phrase("verb", last.kind)
        if [p.sort for p in clause.phrases] == ["again"]:
            self.actions.append(last)
            return
        if clause.separator == "," or all(p.sort == "pace" for p in clause.phrases):
            try:  # 'walk forward, two metres'
                done = self._filled(last, clause.phrases, verb)
                self.actions[-1] = done
                return
            except BadInput:
                pass
        again = last.at if last.kind == "place" and clause.phrases[0].sort == "thing" else None
        self._fill(Action(last.kind, at=again), clause.phrases, verb)

    def _fill(self, action: Action, details: list[_Phrase], verb: _Phrase) -> None:
        self.actions.append(self._filled(action, details, verb))

    def _filled(self, action: Action, details: list[_Phrase], verb: _Phrase) -> Action:
        """The action with its details."""
        amounts = any(p.sort in ("amount", "deed", "slight") for p in details)
        clockwise = any(p.said.get("way", "").endswith("clockwise") for p in details)
        for phrase in sorted(details, key=lambda p: p.sort == "slight"):
            action = self._detail(action, phrase, verb, amounts)
        if clockwise and action.direction == "around" and action.thing and action.side:
            action = replace(action, side="left" if action.side == "right" else "right")  # it passes the other side
        return action

    def _detail(self, action: Action, phrase: _Phrase, verb: _Phrase, amounts: bool) -> Action:
        kind, sort = action.kind, phrase.sort
        if sort == "amount":
            return _amount(action, phrase)
        if sort == "deed":
            return _deed(action, phrase)
        if sort == "number":
            return _number_alone(action, phrase)
        if sort == "pace":
            return _with(action, "pace", _PACE[phrase.text], phrase)
        if sort == "limb":
            return _limb(action, phrase)
        if sort == "thing":
            return self._thing(action, phrase, verb)
        if sort in ("direction", "way"):
            return self._direction(action, phrase, verb, amounts)
        if sort == "slight" and kind in _SLIGHT:
            if not any(getattr(action, name) for name in ("distance", "angle", "count")):
                return replace(action, **_SLIGHT[kind])
        elif sort == "above" and "up" in KINDS[kind].directions:
            return _with(action, "direction", "up", phrase)
        elif sort == "circle" and kind == "walk":
            return replace(_with(action, "direction", "around", phrase), angle=360.0)
        elif sort == "circle" and kind == "turn":
            return _with(action, "angle", 360.0, phrase)
        elif sort == START and kind == "walk" and action.thing is None:
            return replace(action, thing=START)
        elif sort == "there" and kind == "place" and self._goal():
            return _with(action, "at", self._goal(), phrase)
        elif (
            (sort == "again" and any(a.kind == kind for a in self.actions))
            or (sort == "in place" and kind in ("march", "turn"))
            or (sort == "everyone" and kind == "wave")
            or (sort == "broom" and kind == "sweep")
            or (sort in ("moment", "there") and kind == "stand")
        ):
            return action
        raise _unfit(verb.text, phrase)

    def _direction(self, action: Action, phrase: _Phrase, verb: _Phrase, amounts: bool) -> Action:
        word = phrase.said.get("way") or phrase.said.get("aside") or "forward"
        if word == "back" and action.kind == "walk" and phrase.text == "back" and self.actions:
            turned = self.actions[-1].kind == "turn" and (
                self.actions[-1].direction == "around" or self.actions[-1].angle == 180.0
            )
            been = any(a.kind in ("walk", "step", "carry") for a in self.actions)
            if been and not amounts:
                return self._detail(action, _Phrase(START, phrase.text), verb, amounts)
            if turned:
                word = "forward"
        side = word in ("left", "right") and "aside" not in phrase.said
        if side and action.kind in _SIDE_FIRST and action.thing is None:
            return _with(action, "side", word, phrase)
        return _with(action, "direction", _DIRECTION[word], phrase)

    def _thing(self, action: Action, phrase: _Phrase, verb: _Phrase) -> Action:
        """Read a thing by the word before it: what the action is done to, or what that stands on or is brought to."""
        kind, said = action.kind, phrase.said
        before = said.get("to") or said.get("preposition") or "-"
        name = _CALLED.get(said.get("thing", ""), said.get("thing", "")) or self._meant(action)
        if not name:
            raise _unfit(verb.text, phrase)
        if kind == "sweep" and name == "floor" and before == "-":
            return action
        if kind == "walk" and before in ("around", "round", "past"):
            action, before = _with(action, "direction", "around", phrase), "to"
        elif before == "-" and _VERB.get(verb.text) in ("approach", "avoid", "face"):
            before = "to"
        if kind == "push" and action.thing and before in _words_of(f"{_TOWARDS} {_ON} into"):
            raise BadInput(
                f"The mannequin pushes straight ahead: say how far, as in 'push the {action.thing} one metre'."
            )
        if action.thing is None and before in _THING_AFTER.get(kind, "").split() and name != "floor":
            return replace(action, thing=name)
        if action.at in (None, name) and before in _AT_AFTER.get(kind, "").split():
            return replace(action, at=name)
        if action.at and action.thing is None and before == "-":
            return replace(action, thing=name)
        raise _unfit(verb.text, phrase)

    def _meant(self, action: Action) -> str:
        """What 'it' is: for hands that hold something this, else what was named last."""
        named = [n for a in self.actions for n in (a.thing, a.at) if n not in (None, "floor", START)]
        taken = [a.thing for a in self.actions if a.kind in ("pick up", "carry") and a.thing]
        if action.kind in ("place", "carry") and action.thing is None and taken:
            return taken[-1]
        named = [name for name in named if name != action.thing]
        return named[-1] if named else ""

    def _goal(self) -> str | None:
        """Where 'there' is: what was carried or walked to last."""
        goals = [a.at if a.kind == "carry" else a.thing for a in self.actions if a.kind in ("carry", "walk")]
        return goals[-1] if goals and goals[-1] != START else None


def _bare(phrase: _Phrase) -> bool:
    """Whether a thing stands there without 'to', 'on' and the like."""
    return not {"to", "preposition"} & set(phrase.said)


def _unfit(verb: str, phrase: _Phrase) -> BadInput:
    """The error for a phrase that an action cannot use."""
    words = re.sub(rf"^{_DET}", "", phrase.text)
    thing = phrase.said.get("thing")
    takes = (
        f"'{verb}' takes no thing ('{thing}'). "
        if thing and "thing" not in KINDS.get(verb, _kind("", "thing")).takes
        else ""
    )
    return BadInput(
        f"{takes}The mannequin does not understand '{words}' with '{verb}': other backends can do more (see 'exoactor "
        "doctor')."
    )


def _with(action: Action, name: str, value: object, phrase: _Phrase) -> Action:
    """The action with one more detail, which must not contradict those before."""
    old, kind = getattr(action, name), action.kind
    if name == "direction" and kind == "walk" and {old, value} in ({"around", "left"}, {"around", "right"}):
        return replace(action, side=old if value == "around" else value, direction="around")  # 'around it to the left'
    if name == "direction" and kind in ("walk", "step", "raise") and "side" in (old, value):
        return replace(action, direction=value if value != "side" else old or value)  # 'sideways to the left'
    if name == "direction" and old and old != value:
        raise BadInput(f"'{kind} {old}' and '{value}' contradict each other: join them with 'then'.")
    if name == "pace" and old != 1.0 and old != value:
        raise _unfit(kind, phrase)
    if name not in ("pace", "direction") and old is not None and old != value:
        given = f"{old} and {value}" if isinstance(value, str) else f"{old:g} and {value:g}"
        raise BadInput(f"'{kind}' was given two values of {name} ({given}).")
    return replace(action, **{name: value})


def _amount(action: Action, phrase: _Phrase) -> Action:
    """Read a number with its unit."""
    if "word" in phrase.said:
        unit, name, value = "times", "count", float(_TIMES[phrase.said["word"]])
    else:
        unit = phrase.said["unit"]
        name = next(name for name, units in _UNITS.items() if unit in units)
        value = _value(phrase.said["number"]) * _UNITS[name][unit]
    allowed = {
        "distance": ("for", "by"),
        "angle": ("by",),
        "seconds": ("for",),
        "count": ("for",),
        "steps": ("in", "for"),
    }
    if phrase.said.get("before", allowed[name][0]) not in allowed[name]:
        raise _unfit(action.kind, phrase)
    if name == "steps" and action.kind not in ("walk", "step", "march", "carry"):
        raise _unfit(action.kind, phrase)
    if name == "count" and action.kind in ("walk", "march"):
        raise BadInput(f"'{action.kind}' does not take '{phrase.text}': say how many steps or metres.")
    name = "count" if name == "steps" else name
    return _with(action, name, _in_range(name, value), phrase)


def _deed(action: Action, phrase: _Phrase) -> Action:
    """Read 'two steps', 'a bow', 'a half turn' or 'a left turn'."""
    if "way" in phrase.said:
        return _with(action, "direction", phrase.said["way"], phrase)
    number, noun = phrase.said["number"], phrase.said["noun"]
    value, kind = _value(number), _NOUNS[noun]
    if kind == "turn" and action.kind == "turn":
        if number in ("a", "an") and noun == "turn":
            return action
        return _with(action, "angle", _in_range("angle", 360.0 * value), phrase)
    if number in ("a", "an") and kind != "step":
        return action
    return _with(action, "count", _in_range("count", value), phrase)


def _number_alone(action: Action, phrase: _Phrase) -> Action:
    value, takes = _value(phrase.text), KINDS[action.kind].takes
    if action.kind == "turn":
        return _with(action, "angle", _in_range("angle", value), phrase)
    if "count" in takes and "distance" not in takes and action.kind != "march":
        return _with(action, "count", _in_range("count", value), phrase)
    raise BadInput(
        f"The number '{phrase.text}' has no unit that the mannequin knows: say metres, feet, steps, degrees, times or "
        "seconds."
    )


def _limb(action: Action, phrase: _Phrase) -> Action:
    """Read a body part: it must be the one that the action moves."""
    kind, said = action.kind, phrase.said
    part = said.get("part", "hand" if kind in _HAND_KINDS else "foot")
    side = "both" if "both" in said else said.get("side") or said.get("only")
    plural = part in ("hands", "arms", "fists")
    if part in _HEAD and kind in ("look", "nod") and side is None:
        return action
    if (part in ("knee", "knees") and kind == "squat") or (part == "waist" and kind == "bow"):
        return action
    if not (part in _HAND and kind in _HAND_KINDS) and not (part in _FOOT and kind in _FOOT_KINDS):
        raise BadInput(
            f"The mannequin cannot {kind} with '{part}': other backends can do more (see 'exoactor doctor')."
        )
    if kind == "clap" and (side == "both" or plural) and side != "one":
        return action
    side = "both" if plural and side is None else "right" if side == "one" else side
    return action if side is None else _with(action, "side", side, phrase)


def _value(text: str) -> float:
    """Value of what `_QUANTITY` matches."""
    text = text.replace(",", ".")
    if re.fullmatch(r"\d*\.?\d+", text):
        return float(text)
    words = [w for w in text.split() if w != "of"]
    whole, _, part = text.partition(" and a ")
    if part in ("half", "quarter"):
        return _value(whole) + _value(part)
    if "half" in words or "quarter" in words:
        return 0.5 if "half" in words else 0.25
    if "couple" in words:
        return 2.0
    if "hundred" in words:
        k = words.index("hundred")
        return 100.0 * _value(" ".join(words[:k])) + sum(_value(w) for w in words[k + 1 :] if w != "and")
    return sum({**_NUMBER, **_TENS, "a": 1.0, "an": 1.0}.get(word, 0.0) for word in words) or 1.0  # 'full'


def _in_range(name: str, value: float) -> float | int:
    low, high = _RANGES[name]
    if name == "count":
        if abs(value - round(value)) > 1e-9:
            raise BadInput(f"{value:g} is not a whole number of times or steps.")
        value = round(value)
    if not low <= value <= high:
        raise BadInput(f"{value:g} {_UNIT_NAMES[name]} is out of range: {low:g} to {high:g} can be done.")
    return value


def settled(actions: Sequence[Action]) -> tuple[Action, ...]:
    """Check that each action takes its details, and join 'sit down', waiting and 'stand up' into one."""
    out: list[Action] = []
    down = False
    for number, action in enumerate(actions, 1):
        check(action)
        if down and action.kind == "stand":
            out[-1] = replace(out[-1], seconds=(out[-1].seconds or 0.0) + (action.seconds or 1.0))
            continue
        if action.kind == "pick up" and out and out[-1].kind in ("reach", "bow", "squat"):
            bent = out[-1]  # 'reach down and pick up the bottle'
            if bent == Action(bent.kind, bent.side, "down", pace=bent.pace):
                action = replace(action, side=action.side or out.pop().side)
        if action.kind != "rise":
            out.append(action)
        elif not down and out and out[-1].kind not in ("sit", "stand") and any(a.kind == "sit" for a in out):
            raise BadInput(
                f"The mannequin stands up from the chair before '{out[-1].kind}': sitting, it only waits; leave 'stand "
                "up' out, or say it before."
            )
        elif not down:
            out.append(Action("stand"))
        # the person stands up by itself before it does anything else
        rises = next((a.kind for a in actions[number:] if a.kind != "stand"), "") == "rise"
        low = action.kind in ("squat", "bow") and (action.count or 1) == 1
        down = action.kind == "sit" or (low and (rises or action.direction == "down"))
    return tuple(out)


def check(action: Action) -> None:
    """Check that an action takes its details.

    Raises
    ------
    BadInput
        It does not.
    """
    kind = KINDS[action.kind]
    if action.kind in ("walk", "step") and action.direction == "side":
        raise BadInput(f"'{action.kind} sideways' needs a direction: say left or right.")
    if action.direction and action.direction not in kind.directions:
        can = f"it can be {', '.join(sorted(kind.directions))}" if kind.directions else "it takes no direction"
        raise BadInput(f"The mannequin cannot {action.kind} '{action.direction}': {can}.")
    for name in ("side", "distance", "angle", "count", "seconds", "thing", "at"):
        value = getattr(action, name)
        if value is not None and name not in kind.takes:
            takes = ", ".join(sorted(kind.takes)) or "no details"
            shown = f"'{value}'" if isinstance(value, str) else f"{value:g}"
            what = "thing to do it at" if name == "at" else name
            raise BadInput(f"'{action.kind}' takes no {what} ({shown}): it takes {takes}.")
    if action.kind == "turn" and action.direction is None and action.angle is None and action.thing is None:
        raise BadInput("'turn' needs a direction or an angle: say for example 'turn left 90 degrees'.")
    if action.kind in ("touch", "place", "carry", "hold") and action.thing is None:
        raise BadInput(f"'{action.kind}' needs a thing: say for example '{action.kind} the box'.")
    if action.kind == "walk" and action.angle and (action.direction != "around" or action.angle != 360.0):
        raise BadInput(
            f"'walk' takes no angle ({action.angle:g}): turn first, or say 'walk in a circle around the box'."
        )
    if action.kind == "walk" and action.direction == "around" and action.thing is None and not action.angle:
        raise BadInput("'walk around' needs a thing: say for example 'walk around the box'.")
    if action.kind == "walk" and (action.thing or action.direction == "around"):
        _takes_none(action, "'walk' to something, around it or in a circle", "count")
        if action.direction == "around" or action.thing == START:
            _takes_none(action, f"'walk' {'around' if action.thing != START else 'to the start'}", "distance")
        if action.direction != "around":
            _takes_none(action, "'walk' to something", "side")
    if action.kind == "look" and action.thing:
        _takes_none(action, "'look' at something", "angle")
    if action.kind in ("wave", "clap", "nod", "sweep", "march") and action.count and action.seconds:
        raise BadInput(
            f"'{action.kind}' was given {action.count} times and {action.seconds:g} seconds: say one of them."
        )
    if action.kind in ("stand", "hold") and action.pace != 1.0:
        raise BadInput(f"'{action.kind}' takes no pace ({'slowly' if action.pace < 1.0 else 'quickly'}).")
    if action.kind == "sit" and action.thing not in (None, "chair"):
        raise BadInput(f"The mannequin sits on a chair only, not on the {action.thing}.")
    if action.thing == START and action.kind != "walk":
        raise BadInput(f"'{action.kind}' takes no place to do it at ('{START}').")
    most = _steepest(action)
    if action.angle and action.angle > most:
        raise BadInput(f"The mannequin cannot {action.kind} by {action.angle:g} degrees: up to {most:g} can be done.")
    if action.kind in _FOOT_KINDS and action.side == "both":
        raise BadInput(f"The mannequin cannot {action.kind} with both feet at once: say left or right.")
    if (
        action.kind in ("walk", "step")
        and action.distance
        and action.count
        and not (0.1 <= action.distance / action.count <= 0.6)
    ):
        raise BadInput(f"{action.distance:g} m in {action.count} steps is not a step length that a person walks.")


def _takes_none(action: Action, what: str, name: str) -> None:
    value = getattr(action, name)
    if value is not None:
        raise BadInput(f"{what} takes no {name} ({value if isinstance(value, str) else format(value, 'g')}).")


def _steepest(action: Action) -> float:
    """Largest angle of an action, degrees."""
    if action.kind == "bow":
        return 80.0
    if action.kind == "look":
        return {"up": 40.0, "down": 45.0}.get(action.direction or "", 75.0)
    return math.inf
