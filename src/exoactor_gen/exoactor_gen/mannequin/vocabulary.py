"""The words of the task language: verbs, nouns, directions, numbers and units, and words of what is not done."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Any

from exoactor_core.everyday import COLORS
from exoactor_gen.mannequin.movement import SHOWN


def _words(text: str) -> list[str]:
    return text.split()


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VERBS = {
    "walk": "walk go come move stroll march advance pass proceed wander stride saunter amble travel shift pace trudge "
    "plod trek roam meander mosey parade ramble tread venture navigate",
    "step": "step sidestep shuffle",
    "turn": "turn rotate pivot swivel revolve",
    "spin": "spin whirl twirl pirouette gyrate",
    "wave": "wave greet",
    "raise": "raise lift elevate hoist",
    "spread": "spread",
    "lower": "lower",
    "reach": "reach stretch extend",
    "point": "point gesture indicate",
    "squat": "squat crouch duck",
    "jump": "jump leap hop bounce bound",
    "jumping jack": "",
    "bow": "bow bend stoop",
    "lean": "lean",
    "sit": "sit perch",
    "rise": "rise straighten",
    "kick": "kick boot punt",
    "clap": "clap applaud",
    "punch": "punch jab hit strike thump whack smack pound",
    "look": "look glance gaze stare peek peer watch inspect observe examine find locate spot",
    "nod": "nod",
    "shake head": "shake",
    "dance": "dance boogie groove jive",
    "lunge": "lunge",
    "twist": "twist",
    "salute": "salute",
    "cross arms": "cross fold",
    "shrug": "shrug",
    "cheer": "cheer celebrate rejoice",
    "flap": "flap",
    "knock": "knock rap bang",
    "lift knee": "balance",
    "push": "push shove slide roll thrust propel budge",
    "nudge": "nudge",
    "open": "open",
    "close": "close shut slam",
    "pick up": "pick grab grasp get collect retrieve gather seize snatch remove clutch scoop obtain acquire pluck",
    "touch": "touch tap pat press poke feel ring prod stroke",
    "hold": "hold keep grip clasp cradle",
    "place": "put place set lay stack deposit position rest leave pop plonk plop plunk stow stash stick park dump pile "
    "arrange",
    "carry": "carry bring deliver transport haul transfer relocate lug tote ferry convey",
    "sweep": "sweep mop brush",
    "wipe": "wipe scrub rub clean polish dust wash swab",
    "stand": "stand wait stay pause stop halt remain relax linger idle",
    "approach": "approach",
    "avoid": "avoid bypass skirt",
    "circle": "circle orbit",
    "face": "face",
    "take": "take",
    "return": "return",
    "fetch": "fetch",
}
"""Words by the movement that they name; lean and the last seven name one together with what follows (`_Reader`)."""


def verb_forms(word: str) -> tuple[str, ...]:
    """A verb, its third person and its participles."""
    ends_in_es = word.endswith(("h", "o", "s", "x"))
    third = f"{word[:-1]}ies" if word.endswith("ry") else f"{word}es" if ends_in_es else f"{word}s"
    return word, third, f"{word.removesuffix('e')}ing", f"{word}{word[-1]}ing"


_IRREGULAR = {
    "went": "go", "gone": "go", "taken": "take", "sat": "sit", "stood": "stand", "got": "get", "brought": "bring",
    "bent": "bend", "kept": "keep", "held": "hold", "put": "put", "set": "set", "shaken": "shake", "swept": "sweep",
    "hit": "hit", "laid": "lay",
}  # fmt: skip


def _pasts(word: str) -> tuple[str, ...]:
    """What a regular verb's past may be."""
    return f"{word.removesuffix('e')}ed", f"{word}{word[-1]}ed"


def by_form(verbs: Mapping[str, str]) -> dict[str, str]:
    """The kind of each form of the verbs that ``verbs`` lists by kind, separated by spaces."""
    return {form: kind for kind, words in verbs.items() for word in words.split() for form in verb_forms(word)}


_VERB_PHRASES = {
    "rise": "stand up, stands up, standing up, get up, gets up, get back up, straighten up, stand back up, "
    "stand straight up, stand right up, rise up",
    "walk": "make your way, take a walk, go for a walk",
    "stand": "stand still, stands still, standing still, stay still, hold still, keep still, remain still, "
    "remain standing, stay standing, keep standing, remain upright, stand straight, stand up straight, stand upright, "
    "stand tall, do nothing, don't move, do not move, freeze, stay seated, remain seated, stand at attention, "
    "stand to attention, stand by, stay put",
    "spread": "t pose, make a t pose, do a t pose, strike a t pose",
    "turn back": "turn back, turn about, face the other way, turn the other way, make a u turn, do a u turn, "
    "about turn, about face, turn your back, turn your back to me, turn your back to us, turn your back on me",
    "wave": "say hello, say hi, say goodbye, say bye, says hello, wave hello, wave goodbye, wave bye",
    "nod": "nod yes, say yes",
    "circle arms": "arm circles, do arm circles",
    "jumping jack": "jumping jack, jumping jacks, do jumping jacks, star jumps, do star jumps, side straddle hops",
    "shake head": "say no",
    "bow": "bend over, bends over, bending over",
    "clap": "give a round of applause, give me a round of applause",
    "sit": "take a seat, have a seat, be seated, "
    + ", ".join(f"{verb} yourself" for verb in ("lower", "sit", "plonk", "plop", "park", "set")),
    "hold": ", ".join(f"{verb} {to}" for verb in ("hand", "give", "pass") for to in ("me", "us", "him", "her"))
    + ", hold out, hand over, show me, show us",
    "look": "take a look, have a look, take a peek, have a peek",
    "dance": "show me your dance moves, show me your moves, show me your best dance moves, show us your moves, "
    "bust a move, show off your dance moves",
    "march": "high knees, do high knees",
    "look around": "look around, look all around, look both ways",
    "pick up": "pickup, pick up, picks up, picking up, take hold of, get hold of, grab hold of",
    "wipe": "wipe down, wipe off, wipe up, clean off, clean up, cleans up",
    "back up": "back up, back off, back away, reverse",
    "face": "turn to face, turn and face, turn to look at",
    "high five": "high five, give a high five, give me a high five, give high fives",
}
"""Likewise phrases."""
VERB_KIND = by_form(_VERBS)
PAST = {past: verb_forms(word)[2] for words in _VERBS.values() for word in words.split() for past in _pasts(word)}
PAST |= {past: verb_forms(word)[3 if word in _set("sit get put set hit") else 2] for past, word in _IRREGULAR.items()}
"""By the past of verbs, their participle: what 'after you have waved' says is 'after waving'."""
VERB_KIND |= {phrase: kind for kind, phrases in _VERB_PHRASES.items() for phrase in phrases.split(", ")}
NOUN_KIND = {
    noun + end: noun
    for noun in _words("step turn squat jump bow clap kick wave nod lunge dance salute shrug")
    for end in ("", "s")
}
NOUN_KIND |= {
    "punch": "punch",
    "punches": "punch",
    **dict.fromkeys(("high knee", "high knees", "knee lift", "knee lifts", "knee raise", "knee raises"), "lift knee"),
    **dict.fromkeys(("jumping jack", "jumping jacks", "star jump", "star jumps"), "jumping jack"),
    **dict.fromkeys(("arm circle", "arm circles"), "circle arms"),
    **dict.fromkeys(("knee bend", "knee bends"), "squat"),
    **dict.fromkeys(("pace", "paces"), "step"),
    **dict.fromkeys(("circle", "rotation", "rotations", "spin", "spins", "pirouette", "pirouettes"), "turn"),
}
"""What one does so many of: 'three squats', 'a half turn'."""
DIRECTION = {
    "forward": "forward forwards fwd ahead front onward onwards",
    "backward": "backward backwards back",
    "left": "left leftward leftwards counterclockwise anticlockwise",
    "right": "right rightward rightwards clockwise",
    "up": "up upward upwards overhead high above",
    "down": "down downward downwards",
    "side": "side sides sideways wide",
    "around": "around round",
}
DIRECTION = {word: name for name, words in DIRECTION.items() for word in words.split()}

HAND_WORDS = _set("hand hands arm arms fist fists palm palms")
FOOT_WORDS = _set("foot feet leg legs")
HEAD_WORDS = _set("head gaze eyes")
TRUNK_WORDS = _set("torso trunk waist") | {"upper body"}
BODY_PARTS = HAND_WORDS | FOOT_WORDS | HEAD_WORDS | TRUNK_WORDS | _set("knee knees shoulders")
HAND_KINDS = _set("wave raise lower reach point clap punch push open close touch carry hold place sweep wipe") | {
    "salute", "knock", "pick up", "high five", "hands on hips", "hands on head", "circle arms",
}  # fmt: skip
SIDE_FIRST = _set("wave raise kick punch hop")
"""Here a bare 'left' or 'right' means the limb; elsewhere it means the direction."""

OBJECTS = SHOWN | _set("object thing something handle target floor ground")
_SYNONYMS = {
    "table": "desk, counter, workbench, coffee table, kitchen table, dining table, side table, tabletop, countertop, "
    "worktop, kitchen counter, bedside table, work table",
    "box": "crate, carton, cardboard box, obstacle, package, parcel, cube, block, shoebox, shoe box, toolbox, tool box",
    "chair": "seat, armchair, office chair, desk chair, dining chair, kitchen chair, wooden chair",
    "cup": "mug, glass, coffee cup, coffee mug, cup of coffee, cup of tea, teacup, tumbler, glass of water, "
    "cup of water, tea cup, beaker",
    "basket": "bucket, hamper, pail, laundry basket, shopping basket, wicker basket",
    "bin": "trash can, trash bin, rubbish bin, waste bin, wastebasket, waste basket, dustbin, trash, garbage can, "
    "garbage bin, garbage, recycling bin, rubbish",
    "bottle": "water bottle, bottle of water, flask, plastic bottle, glass bottle, juice bottle, drink bottle, thermos",
    "bar": "hurdle, pole, beam, rod, crossbar, limbo bar",
    "bag": "punching bag, sandbag, boxing bag, punch bag, heavy bag",
    "ball": "football, soccer ball, basketball, volleyball, beach ball, handball",
    "cone": "traffic cone, pylon",
    "door": "doorway, entrance, exit",
    "button": "push button, emergency stop, emergency button, stop button, switch, light switch, bell, doorbell, "
    "buzzer",
    "shelf": "bookshelf, bookcase, rack, low shelf, ledge",
    "stool": "bar stool, footstool, step stool",
    "drawer": "drawer of the cabinet, cabinet drawer, kitchen drawer",
    "floor": "ground",
}
SYNONYM = {name: kind for kind, names in _SYNONYMS.items() for name in names.split(", ")}
"""Other names of what can be shown."""


SIZE = {
    word: size for size, words in (("small", "small little tiny"), ("big", "big large huge")) for word in _words(words)
}
"""Words for the sizes of what hands carry."""


def plural(noun: str) -> str:
    """Several of what a noun names: boxes, shelves, cups of tea."""
    first, of, rest = noun.partition(" of ")
    first = f"{first[:-1]}ves" if first.endswith("lf") else f"{first}{'es' if first.endswith(('x', 'h', 's')) else 's'}"
    return first + of + rest


_NOT_DONE = {
    "throw toss": "a hand lets go only of what stands: say 'put the ball into the basket' or 'kick the ball'",
    "drop catch": "a hand lets go only of what stands: say 'put the ball on the floor'",
    "give hand_it": "say 'hand me the bottle'",
    "thumbs_up thumbs_down": "no finger moves by itself: say 'raise your right hand'",
    "tiptoe tip_toe sneak creep": "soles are put down flat: say 'walk slowly'",
    "run jog sprint hurry rush": "one foot stays on the floor: say 'walk quickly' or 'march quickly in place'",
    "skip": "both feet take off and land: say 'jump twice'",
    "climb stair stairs upstairs downstairs": "the floor is flat",
    "kneel kneeling_down": "no knee is put on the floor: say 'squat down' or 'lunge forward'",
    "crawl lie": "the mannequin stays on its feet: say 'squat down'",
    "push_up push_ups pushups sit_up sit_ups burpee burpees plank": "the mannequin stays on its feet: say "
    "'squat five times'",
    "flip backflip somersault cartwheel handstand": "the mannequin stays on its feet",
    "pull drag tug": "drawers alone are pulled: say 'push the box', 'push the door open' or 'carry the box two metres'",
    "on_its_side on_his_side on_her_side upside_down": "what hands put down stays upright: say 'put the bottle on the "
    "table'",
    "pour fill": "what hands hold stays upright: say 'put the bottle next to the cup'",
    "drink eat sip cook": "objects are touched, moved and carried only: say 'hold the cup for 3 seconds'",
    "shake_hands shake_my_hand shake_his_hand shake_her_hand": "say 'reach forward with your right hand'",
    "hug embrace cuddle": "say 'raise both arms forward'",
    "scratch": "say 'put your right hand on your head'",
    "toes ankles": "say 'reach down with both hands'",
    "cross_your_legs crossing_your_legs": "say 'cross your arms'",
    "stomp stamp": "say 'march in place'",
    "lean_on lean_against": "say 'put both hands on the table'",
    "let_go release": "a hand lets go only of what stands: say 'put the ball on the floor'",
    "nose mouth ear ears chin cheek belly stomach chest": "hands go to the hips and the head only: say 'put your "
    "hands on your hips'",
    "thumb thumbs finger fingers peace_sign": "no finger moves by itself",
    "swing": "say 'march in place' or 'flap your arms'",
    "speak talk sing shout count tell say": "the mannequin moves and says nothing",
    "until till": "say how far, how often or for how long",
    "if unless when": "nothing is decided on the way",
    "or": "say one of the two",
    "wait_for_me wait_for_us": "say for how long: 'wait for two seconds'",
    "here follow closer": "say how far: 'walk forward one metre'",
    "diagonally": "say 'turn left 45 degrees, then walk forward'",
    "tilt": "say 'look up' or 'look down'",
    "big large huge small little tiny bigger smaller biggest smallest": "said of what hands carry: 'the small box'",
    "tall short heavy": "objects are not distinguished by height or weight: say the colour, as in 'the red box'",
    "nearest closest leftmost rightmost": "where no scene is given, by colour: 'walk to the red box'",
    "behind_your_back": "hands go to the hips and the head only: say 'put your hands on your hips'",
    "behind between": "say 'to the left of' or 'to the right of'",
    "very m/s km/h mph": "say 'slowly' or 'quickly'",
}
"""Words of what is not done, and what is done instead; '_' joins the words of a phrase."""
NOT_DONE = {
    form.replace("_", " "): instead
    for words, instead in _NOT_DONE.items()
    for word in words.split()
    for form in (word, *verb_forms(word))
}
ON, TOWARDS = "on onto upon", "to towards toward"
OBJECT_AFTER: dict[str, str] = {
    "walk": f"{TOWARDS} through", "open": "-", "close": "-",
    "turn": TOWARDS, "reach": f"- for {TOWARDS}", "point": f"- at {TOWARDS}", "kick": "- against",
    "nudge": "- against", "knock": "on at against",
    "sit": "on in onto into", "punch": "- against", "look": f"- at in into inside {TOWARDS}",
    "push": "- against", "pick up": "-",
    "touch": f"- against to {ON}", "hold": "-", "place": "-", "carry": "-",
    "sweep": "-", "wipe": "-",
}  # fmt: skip
"""By kind, the words after which stands what it is done to; '-': none."""
AT_AFTER: dict[str, str] = {
    "reach": ON, "point": ON, "push": "on", "pick up": "on in off from", "touch": "on", "hold": "on",
    "look": "on", "place": f"{ON} in into inside to at", "carry": TOWARDS, "walk": TOWARDS, "sweep": "off from",
}  # fmt: skip
"""Likewise for what that stands on, or is brought to."""
UNDER = ("under", "underneath", "beneath", "below")
_BEFORE_OBJECTS = f"{ON} in into inside from off at for against around round past over through behind {TOWARDS}"
PREPOSITIONS = _set(_BEFORE_OBJECTS).union(UNDER)
FUNCTION_WORDS = PREPOSITIONS | _set("the a an your my his her its their that this with by of do does take make me you")
"""Where other words are not understood either, these need not be named."""

ONES = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_NUMBER: dict[str, float] = {word: float(i) for i, word in enumerate(ONES)}
TENS = {w: 10.0 * i for i, w in enumerate(_words("twenty thirty forty fifty sixty seventy eighty ninety"), 2)}
UNITS: dict[str, dict[str, float]] = {
    "distance": {
        **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
        **dict.fromkeys(("cm", "centimetre", "centimetres", "centimeter", "centimeters"), 0.01),
        **dict.fromkeys(("ft", "foot", "feet"), 0.3048),
        **dict.fromkeys(("inch", "inches"), 0.0254),
        **dict.fromkeys(("yd", "yard", "yards"), 0.9144),
        **dict.fromkeys(("mm", "millimetre", "millimetres", "millimeter", "millimeters"), 0.001),
    },
    "angle": {
        **dict.fromkeys(("degree", "degrees", "deg", "°"), 1.0),
        **dict.fromkeys(("radian", "radians", "rad"), 57.29577951308232),
    },
    "seconds": {
        **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
        **dict.fromkeys(("minute", "minutes", "min"), 60.0),
    },
    "count": dict.fromkeys(("time", "times", "x"), 1.0),
    "steps": dict.fromkeys(("step", "steps"), 1.0),
}
SMALLER_UNITS = [
    unit
    for unit in (*UNITS["distance"], *UNITS["seconds"])
    if unit.startswith(("inch", "c", "mm", "milli")) or UNITS["seconds"].get(unit) == 1.0
]
"""Units after a greater one: '20 feet 6 inches', 'one minute 30 seconds'."""
POLYGONS = {"square": 4, "triangle": 3}
TIMES = {"once": 1, "twice": 2, "thrice": 3}
_SLOW = "slowly slow gently lightly steadily carefully calmly softly quietly leisurely cautiously gradually slower"
_QUICK = "quickly fast quick rapidly briskly swiftly hurriedly speedily energetically vigorously hard firmly faster"
PACE = {word: pace for words, pace in ((_SLOW, 0.75), (_QUICK, 1.1)) for word in words.split()}
PACE |= {
    "at a slow pace": 0.75,
    "with care": 0.75,
    "in slow motion": 0.75,
    "at a brisk pace": 1.1,
    "at a fast pace": 1.1,
}
PACE |= {
    f"as {word} as {most}": pace
    for word, pace in (("fast", 1.1), ("quickly", 1.1), ("hard", 1.1), ("slowly", 0.75), ("gently", 0.75))
    for most in ("possible", "you can")
}
SLIGHT_AMOUNT: dict[str, dict[str, Any]] = {
    "walk": {"distance": 0.5},
    "step": {"distance": 0.2},
    "turn": {"angle": 30.0},
    "bow": {"angle": 20.0},
    "look": {"angle": 20.0},
    "raise": {"angle": 45.0},
    "twist": {"angle": 15.0},
    "squat": {"distance": 0.12},
    "push": {"distance": 0.2},
    "nudge": {"distance": 0.2},
}
"""What 'a bit' is."""
LEVEL_ANGLE = {"hip": 40.0, "waist": 45.0, "chest": 75.0, "shoulder": 90.0, "eye": 105.0, "head": 115.0}
"""Degrees by which a straight arm is raised for its hand to be at the height of a part of the body."""
POSES = _set("squat bow raise reach point sit look salute") | {
    "lift knee", "twist", "high five", "cross arms", "hands on hips", "hands on head",
}  # fmt: skip
"""What can be held."""


@cache
def _known() -> tuple[str, ...]:
    """What a misspelt word may have been."""
    groups: tuple[Iterable[str], ...] = (
        VERB_KIND,
        OBJECTS,
        SYNONYM,
        COLORS,
        DIRECTION,
        *UNITS.values(),
        _NUMBER,
        TENS,
        HAND_WORDS,
        FOOT_WORDS,
        PACE,
        TIMES,
        FUNCTION_WORDS,
        ("and", "then", "while", "both", "please"),
    )
    return tuple(dict.fromkeys(w for group in groups for w in group))


@lru_cache(1000)
def spelling(word: str, names: frozenset[str] = frozenset()) -> str:
    """The one word of which a slip of a finger made it, which swaps two letters, or loses or adds one; empty: none.

    ``names`` are those of a scene. Another letter, or another first one, may make another word: 'cable' or 'stable' of
    'table'.
    """

    def slips(known: str) -> bool:
        gaps = range(1, len(known))
        swapped = (known[: k - 1] + known[k] + known[k - 1] + known[k + 1 :] for k in gaps)
        lost = (known[:k] + known[k + 1 :] for k in (gaps if len(known) > 3 else ()))
        doubled = (known[:k] + known[k - 1] + known[k:] for k in range(1, len(known) + 1))
        inside = range(1, len(word) - 1) if len(word) > 4 else ()
        added = any(word[:k] + word[k + 1 :] == known for k in inside)
        return added or word in (*swapped, *lost, *doubled)

    if word in _known():
        return word
    if len(word) < 3 or word in NOT_DONE:
        return ""
    found = {known for known in (*_known(), *names) if abs(len(known) - len(word)) < 2 and slips(known)}
    amounts = {known: (name, units[known]) for name, units in UNITS.items() for known in found & {*units}}
    meant = {amounts.get(known, known) for known in found}  # 'metres' and 'meters' are the same
    return min(found) if len(meant) == 1 else ""


def suggestion(word: str) -> str:
    """What a misspelt word may have been, or why what it means is not done."""
    if word in NOT_DONE:
        return f" ({NOT_DONE[word]})"
    words = _known()
    if word in words:  # known, but not there
        return ""
    if spelt := spelling(word):
        return f" (did you mean '{spelt}'?)"
    similar = [w for w in words if w[0] == word[0] and abs(len(w) - len(word)) < 2 and len(word) > 3]
    return "".join(f" (did you mean '{near}'?)" for near in get_close_matches(word, similar, 1, 0.75))


def quantity(text: str) -> float:
    """Value of a number in figures or words, such as 'two and a half' or 'a few'."""
    text = text.replace(",", ".")
    if re.fullmatch(r"\d*\.?\d+", text):
        return float(text)
    words = [w for w in text.split() if w != "of"]
    whole, _, part = text.partition(" and a ")
    if part in ("half", "quarter"):
        return quantity(whole) + quantity(part)
    if "dozen" in words:
        return 6.0 if "half" in words else 12.0
    if "quarters" in words:
        return 0.75
    if "half" in words or "quarter" in words:
        return 0.5 if "half" in words else 0.25
    if "couple" in words:
        return 2.0
    if {"few", "several"} & set(words):
        return 3.0
    if "hundred" in words:
        k = words.index("hundred")
        return 100.0 * quantity(" ".join(words[:k])) + sum(quantity(w) for w in words[k + 1 :] if w != "and")
    known = {**_NUMBER, **TENS, "a": 1.0, "an": 1.0}
    said = [known[word] for word in words if word in known]
    return sum(said) if said else 1.0  # 'full'
