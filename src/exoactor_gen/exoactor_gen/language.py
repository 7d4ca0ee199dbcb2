"""The mannequin's task language: a sentence becomes a plan of timed actions, or one clear error.

Words are read from left to right. A verb opens an action; numbers with units, sides and directions after it belong to
it; 'then', 'and' and commas end it. Every content word must be understood: none is skipped silently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from exoactor.errors import BadInput


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
    "walk, step, turn, wave, raise, reach, point, squat, bow, sit down and stand up, kick, clap, punch, look, nod, "
    "push, touch, pick up, hold, carry, place, sweep, stand or wait; things to walk to or around, to use, to point at "
    "and to sit on are a table, chair, bottle, cup, basket, box, ball and punching bag"
)

_VERBS = {
    "walk": "walk go move stroll march advance approach",
    "step": "step steps",
    "turn": "turn rotate face",
    "wave": "wave greet",
    "raise": "raise lift",
    "reach": "reach stretch",
    "point": "point",
    "squat": "squat crouch",
    "bow": "bow bend lean",
    "sit": "sit",
    "kick": "kick",
    "clap": "clap applaud",
    "punch": "punch jab hit",
    "look": "look glance",
    "nod": "nod",
    "push": "push shove slide",
    "pick up": "pick grab grasp fetch",
    "touch": "touch tap pat",
    "hold": "hold",
    "place": "put place set lay drop",
    "carry": "carry bring",
    "sweep": "sweep mop",
    "stand": "stand wait stay pause stop",
}
_VERB = {word: kind for kind, words in _VERBS.items() for word in words.split()}
_VERB |= {
    form: kind
    for word, kind in list(_VERB.items())
    for form in (word + "s", word + "ing", word.rstrip("e") + "ing", word + word[-1] + "ing")
}

_DIRECTION = {
    "forward": "forward forwards ahead front onward onwards",
    "backward": "backward backwards back",
    "left": "leftward leftwards counterclockwise anticlockwise",
    "right": "rightward rightwards clockwise",
    "up": "up upward upwards overhead high above",
    "down": "down downward downwards",
    "side": "side sides sideways",
    "around": "around round past",
}
_DIRECTION = {word: name for name, words in _DIRECTION.items() for word in words.split()}

_HAND = _set("hand hands arm arms fist fists")
_FOOT = _set("foot feet leg legs")
_HEAD = _set("head gaze eyes")
_HAND_KINDS = _set("wave raise reach point clap punch push touch carry hold place sweep") | {"pick up"}
_FOOT_KINDS = _set("kick walk step")
_SIDE_FIRST = _set("wave raise kick punch push touch hold") | {"pick up"}
"""Here a bare 'left' or 'right' means the limb; elsewhere it means the direction."""

SHOWN = _set("table chair bottle cup basket box ball bag")
"""What can stand in the room."""
_AT = {"carry": "to", "pick up": "from"}
_TO = {"walk": "to ", "turn": "to ", "sit": "on ", "reach": "for ", "point": "at ", "look": "at "}
_THINGS = SHOWN | _set("object thing something wall door shelf button handle bar target")
_CALLED = {
    **dict.fromkeys(("desk",), "table"),
    **dict.fromkeys(("crate", "carton", "obstacle", "package", "parcel", "cube"), "box"),
    **dict.fromkeys(("seat", "stool"), "chair"),
    **dict.fromkeys(("mug", "glass"), "cup"),
    **dict.fromkeys(("bin", "bucket"), "basket"),
    "football": "ball",
}
"""Other names of what can be shown."""
_ONTO = _set("on onto upon in into inside to towards toward from off at")
_TAKE_AT = frozenset(kind for kind, details in KINDS.items() if "at" in details.takes)
_ARTICLES = _set("a an the your my his her its their that this")
_FILLER = _set(
    "please kindly the a an your his her its their my robot person human man woman humanoid g1 it he she you i we "
    "they should must shall will would could can want wants like have to of at with on in by for from that so now "
    "onto into upon inside off over them "
    "just let us lets let's using me d do does make perform take give start begin finally first next then after "
    "and ground floor straight still air place be is degrees's itself yourself himself herself out someone "
    "everyone people hello hi goodbye bye too also towards toward there"
)
_BREAK = _set(", ; . ! then and next finally afterwards after")
_TAKEN = "steps?|bow|turn|look|glance|walk|stroll|kick|punch"
"""What one takes without a hand."""
_PHRASES = (
    (r"\b(?:take|have) a seat\b", "sit"),
    (r"\bget up\b|\bstraighten up\b|\bstand (?:back|straight|right) up\b", "stand up"),
    (r"\bpickup\b", "pick up"),
    (rf"\btake (?=(?:the|a|an|that|this|it|your|my)\b)(?!an? (?:\w+ )?(?:{_TAKEN})\b)", "pick up "),
    (r"\bturn back\b", "turn around"),
    (r"\b(?:back|up|over|closer|straight|right) (?=(?:to|towards?)\b)", ""),
    (r"\bnext to\b", "beside"),
    (r"\bpunching[ -]?bag\b|\bsandbag\b", "bag"),
    (r"\b(?:with|using) (?:a|the|your) (?:broom|mop)\b", ""),
    (r"\blook (?:all )?around\b", "look left, then right"),
    (r"\bput (?=(?:your |both |the |up )*(?:left |right |both )*(?:hands?|arms?) (?:up|in the air|above)\b)", "raise "),
    (r"\b(?:in )?(?:a )?(?:full |whole )?circles? around\b|\ball (?:the way )?around\b", "around 360 degrees"),
    (r"\bavoid(?:ing)?\b", "walk around"),
)
"""Turns of phrase, and the same in words that the reader knows."""

_ONES = _words_of(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_NUMBER: dict[str, float] = {word: float(i) for i, word in enumerate(_ONES)}
_TENS = {w: 10.0 * (i + 2) for i, w in enumerate(_words_of("twenty thirty forty fifty sixty seventy eighty ninety"))}
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), ("distance", 1.0)),
    **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters"), ("distance", 0.01)),
    **dict.fromkeys(("ft", "foot", "feet"), ("distance", 0.3048)),
    **dict.fromkeys(("inch", "inches"), ("distance", 0.0254)),
    **dict.fromkeys(("degree", "degrees", "deg", "°"), ("angle", 1.0)),
    **dict.fromkeys(("radian", "radians", "rad"), ("angle", 57.29577951308232)),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("seconds", 1.0)),
    **dict.fromkeys(("minute", "minutes", "min"), ("seconds", 60.0)),
    **dict.fromkeys(("time", "times", "step", "steps", "squats", "bows", "claps", "kicks", "punches"), ("count", 1.0)),
    **dict.fromkeys(("turn", "turns", "circle", "rotation"), ("angle", 360.0)),
}
_TIMES = {"once": 1, "twice": 2, "thrice": 3}
_PACE = {"slowly": 0.75, "slow": 0.75, "gently": 0.75, "quickly": 1.1, "fast": 1.1, "quick": 1.1}
_RANGES = {"distance": (0.05, 20.0), "angle": (1.0, 720.0), "count": (1, 30), "seconds": (0.2, 60.0)}
_UNIT_NAMES = {"distance": "metres", "angle": "degrees", "count": "times", "seconds": "seconds"}


def parse(instruction: str) -> Plan:
    """Read an instruction.

    Raises
    ------
    BadInput
        It is empty, holds a word that is not understood, a detail that the action does not take, or a figure out of
        range; the message names the words.
    """
    words = _words(instruction)
    if not any(re.search(r"\w", w) for w in words):
        raise BadInput(f"The instruction is empty: say what to do, for example 'walk forward two metres' ({KNOWN}).")
    return _Reader(words).read()


def _words(text: str) -> list[str]:
    text = text.lower().replace("’", "'")
    text = re.sub(r"(\d),(\d{3})\b", r"\1\2", text)
    text = re.sub(r"\b(half|quarter)[- ](?=turn)", r"\1 ", text)
    text = re.sub(r"\b(left) and (?:your |the )?right (?=hands?\b|arms?\b)", "both ", text)
    text = re.sub(r"\b(right) and (?:your |the )?left (?=hands?\b|arms?\b)", "both ", text)
    text = re.sub(r"\bstand(ing)? still\b", "stand", text)
    text = re.sub(r"\b(counter|anti)-clockwise", r"\1clockwise", text)
    for phrase, plain in _PHRASES:
        text = re.sub(phrase, plain, text)
    return re.findall(r"\d+(?:\.\d+)?|\.\d+|[^\W\d_]+(?:'[^\W\d_]+)?|[^\s\w'\"()-]|°", text)


def _not_understood(words: Sequence[str]) -> BadInput:
    named = ", ".join(f"'{w}'{_suggested(w)}" for w in dict.fromkeys(words))
    return BadInput(
        f"The mannequin does not understand {named}: it knows {KNOWN}, with sides, directions, distances, angles, "
        "counts and seconds; other backends can do more (see 'exoactor doctor')."
    )


def _suggested(word: str) -> str:
    """What a misspelt word may have been."""
    groups = (_VERB, _THINGS, _CALLED, _DIRECTION, _UNITS, _NUMBER, _TENS, _HAND, _FOOT, _PACE, _TIMES)
    alike = [w for group in groups for w in group if w[0] == word[0] and abs(len(w) - len(word)) < 2 and w != word]
    return "".join(f" (did you mean '{near}'?)" for near in get_close_matches(word, alike, 1, 0.75))


@dataclass
class _Reader:
    """One pass over the words."""

    words: list[str]
    at: int = 0
    actions: list[Action] = field(default_factory=list)
    fresh: bool = True
    """A separator was read since the last action's words: a bare detail now repeats the verb."""
    comma: bool = False
    """It was only a comma: a detail that is still open belongs to the verb before it."""
    pending: dict[str, object] = field(default_factory=dict)
    """Details read before the first verb, such as 'with your left hand, wave'."""
    unknown: list[str] = field(default_factory=list)

    def read(self) -> Plan:
        while self.at < len(self.words):
            self._next()
        if self.unknown:
            raise _not_understood(self.unknown)
        if self.pending or not self.actions:
            raise BadInput(f"The instruction names no action: say what to do ({KNOWN}).")
        return Plan(settled(self.actions))

    def _peek(self, ahead: int = 0) -> str:
        return self.words[self.at + ahead] if self.at + ahead < len(self.words) else ""

    def _next(self) -> None:
        word = self._peek()
        value, used = _number(self.words[self.at :])
        if word == "stand" and self._peek(1) == "up":
            self._open("rise", 2)
        elif word in ("say", "says") and self._peek(1) in ("hello", "hi", "goodbye", "bye"):
            self._open("wave", 2)
        elif used and self._measure(value, used):
            pass
        elif word in ("a", "an") or word in _BREAK:
            if word in _BREAK:
                self.comma = word == "," and (self.comma or not self.fresh)
                self.fresh = True
            self.at += 1
        elif word == "place" and self._before() == "in":
            self.at += 1  # 'march in place'
        elif word in ("move", "moving") and self._moves_thing():
            self._open("place" if {*_THINGS, *_CALLED, "floor"} & set(self._clause()[1:]) else "push", 1)
        elif word in _VERB:
            self._open("touch" if _VERB[word] == "place" and self._hand_follows() else _VERB[word], 1)
        elif word in _TIMES:
            self._set("count", _TIMES[word], 1)
        elif word in _PACE and self.fresh and self._peek(1) in _VERB:
            self.pending["pace"] = _PACE[word]  # 'then quickly wave': of the verb that comes
            self.at += 1
        elif word in _PACE:
            self._set("pace", _PACE[word], 1)
        elif word in ("left", "right", "both"):
            self._side(word)
        elif word in _DIRECTION:
            self._set("direction", _DIRECTION[word], 1)
        elif word in _HAND | _FOOT | _HEAD | {"knees", "knee", "waist"}:
            self._part(word)
        elif word in _CALLED or word in _THINGS:
            self._thing(_CALLED.get(word, word))
        elif word in ("it", "them") and self._takes_thing() and self._meant():
            self._thing(self._meant())
        elif word in ("floor", "ground") and self._kind() in _TAKE_AT and self._before() in _ONTO:
            self._set("at", "floor", 1)
        elif word == "there" and self._kind() == "place" and self._goal():
            self._set("at", self._goal(), 1)
        elif word in _FILLER:
            self.at += 1
        else:
            self.unknown.append(word)
            self.at += 1

    def _before(self) -> str:
        """The word before this one and its article."""
        before = [w for w in self.words[: self.at] if w not in _ARTICLES]
        return before[-1] if before else ""

    def _clause(self) -> list[str]:
        """The words that follow, without articles, up to the next separator."""
        after = self.words[self.at + 1 :]
        end = next((k for k, w in enumerate(after) if w in _BREAK), len(after))
        return [w for w in after[:end] if w not in _ARTICLES]

    def _moves_thing(self) -> bool:
        """Whether 'move' is about a thing: 'move the box onto the table'."""
        first = next(iter(self._clause()), "")
        return first in _THINGS or first in _CALLED or first == "it"

    def _hand_follows(self) -> bool:
        """Whether 'put' is about a hand: 'put your right hand on the table'."""
        after = [w for w in self.words[self.at + 1 :] if w not in _ARTICLES | {"left", "right", "both", "one"}]
        return bool(after) and after[0] in _HAND

    def _takes_thing(self) -> bool:
        return self._kind() == "raise" or (self._kind() in KINDS and "thing" in KINDS[self._kind()].takes)

    def _meant(self) -> str:
        """What 'it' is: for hands that hold something this, else what was named last."""
        last = self.actions[-1]
        named = [name for action in self.actions for name in (action.thing, action.at) if name not in (None, "floor")]
        taken = [a.thing for a in self.actions[:-1] if a.kind in ("pick up", "carry") and a.thing]
        if last.kind in ("place", "carry") and last.thing is None and taken:
            return taken[-1]
        named = [name for name in named if name != last.thing]
        return named[-1] if named else ""

    def _goal(self) -> str | None:
        """Where 'there' is: what was carried or walked to last."""
        goals = [a.at if a.kind == "carry" else a.thing for a in self.actions if a.kind in ("carry", "walk")]
        return goals[-1] if goals else None

    def _thing(self, name: str) -> None:
        if not self.actions:
            self.pending["thing"] = name
            self.at += 1
            return
        if self._kind() == "raise":
            self.actions[-1] = replace(self.actions[-1], kind="pick up")
        last = self.actions[-1]
        if last.kind == "push" and last.thing and self._before() in _set("to into onto towards toward"):
            raise BadInput(
                f"The mannequin pushes straight ahead: say how far, as in 'push the {last.thing} one metre'."
            )
        second = last.thing is not None or (last.kind in ("place", "carry") and self._before() in _ONTO)
        self._set("at" if last.kind in _TAKE_AT and second and not self.fresh else "thing", name, 1)

    def _kind(self) -> str:
        return self.actions[-1].kind if self.actions else ""

    def _open(self, kind: str, used: int) -> None:
        self.at += used
        self.actions.append(Action(kind))
        self.fresh = False
        for name, value in self.pending.items():
            self._set(name, value, 0)
        self.pending = {}

    def _set(self, name: str, value: object, used: int) -> None:
        self.at += used
        if not self.actions:
            self.pending[name] = value
            return
        last = self.actions[-1]
        if self.comma and getattr(last, name) is None:
            self.fresh = False  # 'walk forward, two metres'
        if self.fresh and name != "pace":
            # 'look left, then right' and 'turn left 90 degrees, and then 45 degrees right' repeat the verb
            again = last.at if last.kind == "place" and name == "thing" else None  # 'on the table, then the cup'
            self.actions.append(Action(self._kind(), at=again))
            self.fresh = False
        last = self.actions[-1]
        old = getattr(last, name)
        if name == "direction" and last.kind == "walk" and {old, value} in ({"around", "left"}, {"around", "right"}):
            last = replace(last, side=old if value == "around" else value)  # 'around the box to the left'
            value = "around"
        elif name == "direction" and last.kind in ("walk", "step", "raise") and "side" in (old, value):
            value = old if value == "side" and old else value  # 'sideways to the left'
        elif name == "direction" and last.kind in ("reach", "point", "bow", "look") and old:
            raise BadInput(f"'{last.kind} {old}' and '{value}' contradict each other: join them with 'then'.")
        elif name not in ("pace", "thing", "at", "direction") and old is not None and old != value:
            raise BadInput(f"'{last.kind}' was given two values of {name} ({old:g} and {value:g})."
                           if name != "side" else f"'{last.kind}' was given both '{old}' and '{value}'.")  # fmt: skip
        elif name == "direction" and old and old != value:
            raise BadInput(f"'{last.kind} {old}' and '{value}' contradict each other: join them with 'then'.")
        self.actions[-1] = replace(last, **{name: value})

    def _side(self, word: str) -> None:
        after = self._peek(1)
        if after in _HAND | _FOOT | {"fist"} or word == "both":
            self._set("side", word, 1)
        elif after == "side":
            self._set("direction", word, 2)
        elif self._kind() in _SIDE_FIRST and self._before() != "to":
            self._set("side", word, 1)
        else:
            self._set("direction", word, 1)

    def _part(self, word: str) -> None:
        """Read a body part: it must be the one that the action moves."""
        kind, plural = self._kind(), word in ("hands", "arms", "fists")
        if not self.actions and not self.pending:
            self.unknown.append(word)
        elif word in _HEAD and kind in ("turn", "look", "nod"):
            self.actions[-1] = replace(self.actions[-1], kind="look" if kind == "turn" else kind)
        elif word in ("knees", "knee") and kind == "bow":
            self.actions[-1] = replace(self.actions[-1], kind="squat")
        elif (word == "waist" and kind == "bow") or (self.pending and not kind):
            pass
        elif (word in _HAND and kind in _HAND_KINDS) or (word in _FOOT and kind in _FOOT_KINDS):
            if plural and self.actions[-1].side is None and kind != "clap":
                self.actions[-1] = replace(self.actions[-1], side="both")
        else:
            raise BadInput(
                f"The mannequin cannot {kind} with '{word}': other backends can do more (see 'exoactor doctor')."
            )
        self.at += 1

    def _measure(self, value: float, used: int) -> bool:
        """Read a number and its unit; False where the word is no number after all ('a', 'an')."""
        while self.words[self.at + used : self.at + used + 1] in (["of"], ["full"], ["more"], ["big"]):
            used += 1
        unit = self._peek(used)
        article = self._peek() in ("a", "an") and used == 1
        if unit in _UNITS and not (unit == "turn" and self._kind() == "turn" and article):
            name, scale = _UNITS[unit]
            kind = self._kind()
            if unit in ("step", "steps") and (not self.actions or self.fresh or kind not in ("walk", "step")):
                self._open("step", 0)  # 'take two steps'
            if unit in ("turn", "turns", "circle", "rotation") and (not self.actions or kind != "turn"):
                self._open("turn", 0)  # 'make a half turn'
            for word, verb in (("squats", "squat"), ("bows", "bow"), ("claps", "clap"), ("kicks", "kick"),
                               ("punches", "punch")):  # fmt: skip
                if unit == word:
                    self._open(verb, 0)
            self._set(name, _in_range(name, value * scale), used + 1)
            return True
        if article or self._peek() in ("a", "an"):
            return False
        if self._kind() == "turn" and not self.fresh:
            self._set("angle", _in_range("angle", value), used)
        elif self.actions and "distance" not in KINDS[self._kind()].takes and "count" in KINDS[self._kind()].takes:
            self._set("count", _in_range("count", value), used)
        else:
            number = " ".join(self.words[self.at : self.at + used])
            raise BadInput(f"The number '{number}' has no unit that the mannequin knows: say metres, feet, steps, "
                           "degrees, times or seconds.")  # fmt: skip
        return True


def _number(words: Sequence[str]) -> tuple[float, int]:
    """Read a number at the front: its value and how many words it takes (0: there is none)."""
    if not words:
        return 0.0, 0
    first, at = words[0], 1
    if re.fullmatch(r"\d*\.?\d+", first):
        value = float(first)
    elif first in _TENS:
        value = _TENS[first]
        if 1 <= _NUMBER.get(words[1] if len(words) > 1 else "", 0) <= 9:
            value, at = value + _NUMBER[words[1]], 2
    elif first in _NUMBER:
        value = _NUMBER[first]
    elif first in ("half", "quarter"):
        at = 2 if words[1:2] in (["a"], ["of"], ["an"]) else 1
        return (0.5 if first == "half" else 0.25), at
    elif first in ("a", "an"):
        if words[1:2] == ["couple"]:
            return 2.0, 2
        if words[1:2] and words[1] in ("half", "quarter"):
            value, used = _number(words[1:])
            return value, used + 1
        value = 1.0
    elif first == "full":
        return 1.0, 1
    else:
        return 0.0, 0
    if words[at : at + 1] == ["hundred"]:
        value, at = value * 100.0, at + 1
        skip = 1 if words[at : at + 1] == ["and"] else 0
        rest, used = _number(words[at + skip :])
        if used and words[at + skip] not in ("a", "an", "half", "quarter"):
            value, at = value + rest, at + skip + used
    if list(words[at : at + 3]) in (["and", "a", "half"], ["and", "a", "quarter"]):
        value, at = value + (0.5 if words[at + 2] == "half" else 0.25), at + 3
    return value, at


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
    seated = False
    for action in actions:
        _check(action)
        if seated and action.kind == "stand":
            out[-1] = replace(out[-1], seconds=(out[-1].seconds or 0.0) + (action.seconds or 1.0))
            continue
        if action.kind == "pick up" and out and out[-1].kind in ("reach", "bow", "squat"):
            bent = out[-1]  # 'reach down and pick up the bottle'
            if bent == Action(bent.kind, bent.side, "down", pace=bent.pace):
                action = replace(action, side=action.side or out.pop().side)
        if action.kind == "rise":
            if not seated:
                out.append(Action("stand"))
            seated = False
            continue
        if seated and action.kind != "sit":
            seated = False  # the person stands up by itself before it does anything else
        seated = seated or action.kind == "sit"
        out.append(action)
    return tuple(out)


def _check(action: Action) -> None:
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
    if action.kind == "walk" and action.direction == "around" and action.thing is None:
        raise BadInput("'walk around' needs a thing: say for example 'walk around the box'.")
    if action.kind in _FOOT_KINDS and action.side == "both":
        raise BadInput(f"The mannequin cannot {action.kind} with both feet at once: say left or right.")
    if (
        action.kind in ("walk", "step")
        and action.distance
        and action.count
        and not (0.1 <= action.distance / action.count <= 0.6)
    ):
        raise BadInput(f"{action.distance:g} m in {action.count} steps is not a step length that a person walks.")
