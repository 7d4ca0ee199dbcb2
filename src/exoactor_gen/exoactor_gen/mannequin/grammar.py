"""The phrases that a sentence of the task language is cut into, and the clauses that these make.

The text is cut by a table of patterns (`_PATTERNS`), so that every word is in one phrase: what matches no pattern is a
phrase that is not understood.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from exoactor_core.everyday import COLORS
from exoactor_gen.mannequin.movement import GESTURES_MEANWHILE, SHOWN, START
from exoactor_gen.mannequin.objects import LOOSE, ONE_HANDED
from exoactor_gen.mannequin.vocabulary import (
    BODY_PARTS,
    DIRECTION,
    FOOT_WORDS,
    HAND_WORDS,
    LEVEL_ANGLE,
    NOT_DONE,
    NOUN_KIND,
    OBJECTS,
    ONES,
    PACE,
    PAST,
    POLYGONS,
    PREPOSITIONS,
    SIZE,
    SMALLER_UNITS,
    SYNONYM,
    TENS,
    TIMES,
    UNITS,
    VERB_KIND,
    plural,
    verb_forms,
)


def _either(words: Iterable[str]) -> str:
    """Pattern of any of the words, longest first."""
    return "(?:" + "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True)) + ")"


DETERMINER = r"(?:(?:the|your|my|his|her|its|their|an?|that|this) )?"
_ONE_WORD = rf"(?:{_either(TENS)}(?: {_either(ONES[1:10])})?|{_either(ONES)})"
_DIGITS = r"(?<![\w.,:/+−-])(?:\d+(?:\.\d+|,\d{1,2})?|\.\d+)(?![.,:/−-]?\d)"
"""With a decimal point or comma. '1,500' may be one and a half or many, so it is no number; nor is '-2'."""
_FIGURE = rf"(?:{_DIGITS}|\b(?:(?:an?|{_either(ONES)}) hundred(?: (?:and )?{_ONE_WORD})?|{_ONE_WORD})\b)"
_QUANTITY = (
    rf"(?:(?:an? |one )?(?:half|quarter)(?: of)?(?: an?)?|three quarters(?: of)?(?: an?)?|an? couple(?: of)?"
    r"|an? few|several|(?:an? |half an? )dozen"
    rf"|(?:an? |one )?(?:full|complete)"
    rf"|{_FIGURE}(?: and an? (?:half|quarter))?|an?)"
)
_WHO = (
    r"(?:(?:the |a )?(?:humanoid )?(?:robot|person|human|man|woman|humanoid|g1|subject|actor|character|guy|lady|boy"
    r"|girl|child))"
)
_UNIT = _either(unit for name, units in UNITS.items() if name != "steps" for unit in units)
_END = r"(?=$| ?[,.;!?]| and\b| then\b| but\b| too\b| as well\b| without\b)"
_TIMES = rf"(?:{_either(TIMES)}|{_FIGURE} times)"
_WHICH = (
    r"(?:(?:that|which) (?:(?:is|are) (?:(?:standing|lying|sitting|placed) )?|stands |lies |sits )"
    r"|(?:standing|lying|sitting) )"
)
"""What a relative clause begins with, which says where an object is: 'the cup that is on the table'."""
_THERE_IS = r"(?:on|in|inside|next to|beside|near)"
"""What follows that."""
_ALL_OF_IT = (
    r"(?:it|this|that|these|everything|all (?:of )?(?:it|this|that)|(?:the|this) (?:whole |same )?(?:thing"
    r"|sequence|cycle|exercise|movement|action|motion)|the same|so)"
)
"""What is done again."""
_OTHER_SIDE = r"(?:on|to|with|for) the other side"
_ITS_SIDE = rf"{_ALL_OF_IT} {_OTHER_SIDE}"
_PART = r"(?:side|half|end|edge|part|corner)"
"""What follows 'left' and 'right' of a part of a table."""


_NAMED, _COLOURED, _SEVERAL = "<named>", "<coloured>", "<nouns>"
"""In `_PATTERNS`: any object's name, that of an object that may have a colour, and of several objects."""
_SIZED = _either({*LOOSE, *(word for word, kind in SYNONYM.items() if kind in LOOSE)})
_PAIR = _either(map(plural, (*ONE_HANDED, *(word for word, kind in SYNONYM.items() if kind in ONE_HANDED))))
"""What two can be taken of, one in each hand."""
_COLOR = f"(?:{_either(COLORS)} )?"
_PATTERNS = (
    ("unknown", rf"{_either(word for word in NOT_DONE if ' ' in word)}\b"),
    ("while", r"(?:(?:and )?(?:at the same time|simultaneously)|while|whilst)\b"),
    ("separator", rf"(?:(?:[,;.!?]|(?:and|but|then|afterwards?|finally|lastly|first|firstly|also|now|subsequently"
                  rf"|thereafter|followed by|from there|in the end|to finish|to begin with)\b|next\b(?! to\b)"
                  rf"|after (?:that|this|which)\b|(?:in order |so as )?to (?={_either(VERB_KIND)}\b)) ?)+"),
    ("polite", rf"(?:(?:please|pls|plz|kindly|alright|all right|yo|um|uh|well(?=,)|buddy|mate|pal|dude|real quick|asap"
               rf"|just|simply|immediately|right away|straight away|thanks|thank you|thx"
               rf"|exactly|precisely|perhaps|maybe|(?:about|approximately|roughly)(?= {_QUANTITY}\b)"
               rf"|around(?= {_FIGURE} ?{_UNIT}\b)"
               rf"|in a row|anything(?: else)?|in (?:that|this) order|(?:too|as well|or so|instead){_END}"
               rf"|if (?:you please|you can|you could|you would|possible|you don't mind|you like|you want)|for a start"
               rf"|when(?:ever)? you(?: are|'re) ready|as soon as (?:possible|you can)"
               rf"|(?<!wait )(?<!waiting )(?<!look )(?<!looking )(?<!reach )(?<!reaching )for (?:me|us))"
               rf"|(?:hi|hey|hello|ok|okay)(?: {_WHO})?)\b"),
    ("opening", rf"(?:(?:would|do) you mind(?= [a-z]+ing\b)|(?:would|could|can|will) you be (?:so kind(?: as)?|able) to"
                rf"|(?:can|could|would|will) (?:you|{_WHO})"
                rf"|(?:i|we)(?:'d like| would like| want| need) (?:you|{_WHO}) to"
                rf"|(?:i(?:'d| would) (?:like|love) to|i want to|let's|let us|let me) see (?:you|{_WHO})"
                rf"|are you able to|do you know how to|go ahead and|try (?:to|and)|why don't you|how about you"
                rf"|(?:do you )?think you (?:can|could)|how about(?= [a-z]+ing\b)|mind(?= [a-z]+ing\b)"
                rf"|(?:would it be|is it) possible (?:for you )?to"
                rf"|it would be (?:great|nice|good|lovely) if you (?:could|would)"
                rf"|(?:we|i)(?:'d| would) appreciate it if you (?:could|would)|(?:we|i) (?:was|were) hoping you could"
                rf"|(?:be|make) sure (?:to|you)|(?:remember|don't forget|feel free) to"
                rf"|(?:your|the) (?:next )?(?:task|job|goal|mission) is to|you need to"
                rf"|(?:keep|continue|carry on|keep on)(?= [a-z]+ing\b)"
                rf"|show (?:me|us)(?: how (?:to|you))?(?! the {_COLOR}{_COLOURED}\b)"
                rf"|(?:make|let|have) {_WHO}|let us|let's|(?:go|come) and(?= [a-z])"
                rf"|go(?= {_either(VERB_KIND)}\b(?! up\b))|(?:start|begin)(?: to"
                rf"| by)?(?= [a-z])"
                rf"|(?:{_WHO}|he|she|they|you|we|i|someone|somebody)(?: (?:should|must|shall|will|can|has to|have to"
                rf"|needs? to|(?:is|are)(?: going)? to|(?:starts?|begins?)(?: to)?(?= [a-z])"
                rf"|(?:is|are)(?= [a-z]+ing\b)))?)\b(?!')"),
    ("answer", r"(?:(?<=nod )|(?<=head ))(?P<answer>yes|no)\b"),
    ("over shoulder", r"over (?:your|the|his|her|its) (?:(?P<way>left|right) )?shoulder\b"),
    ("there above", r"(?:(?:up )?(?:at|to|for|towards?) )the (?:ceiling|sky|stars)\b"),
    ("there below", r"(?:down )?at (?:the (?:floor|ground)|your feet)\b"),
    ("figure eight", r"(?:in )?an? (?:figure )?(?:of )?(?:eight|8)(?: shape)?\b"),
    ("level", rf"(?:(?:up )?(?:to|at) )?{DETERMINER}(?P<level>{_either(LEVEL_ANGLE)})s? (?:height|level|high)\b"),
    ("arms at rest", rf"with {DETERMINER}(?:both )?{_either(HAND_WORDS)} (?:hanging |relaxed |resting |down )*"
                     rf"(?:at|by) (?:your|the) sides?\b"),
    ("repeat", rf"(?:repeat|(?:do|perform)(?= {_ITS_SIDE}))(?: {_ALL_OF_IT})?(?: (?P<mirrored>{_OTHER_SIDE})\b"
               rf"|(?= {_TIMES}))"),
    ("each side", r"(?:on|to|for) (?:each|either|both) sides?\b(?! of)"),
    ("alternately", r"alternately\b"),
    ("between", rf"(?:through (?:the (?:gap|space) )?|in )?between (?:(?P<pair>them)"
                rf"|{DETERMINER}(?P<first>{_COLOR}{_NAMED}) and {DETERMINER}(?P<second>{_COLOR}{_NAMED})"
                rf"|(?:the )?(?:two |both )?(?P<several>{_SEVERAL}))\b"),
    ("other side", r"(?:to|on) the (?:other|far|opposite) side\b(?! of)"),
    ("upright", r"upright\b"),
    ("unspilt", r"without (?:spilling|dropping|tilting|tipping)(?: it| them| anything)?\b"),
    ("again", r"(?:again|do (?:it|that|this) again|once (?:more|again)|one more time"
              r"|another(?=$| ?[,.;!]| and\b| then\b| to\b| forward| backward))\b"),
    (START, r"(?:back )?to (?:(?:the|your|its|his|her) "
            r"(?:start|(?:starting|initial|original) (?:point|position|place|spot)|beginning|origin)"
            r"|where (?:you|it|he|she|they) (?:started|began|came from))\b|back (?:to )?here\b"),
    ("zigzag", r"(?:in )?an? zig ?zag\b"),
    ("polygon", rf"(?:in )?an? (?:(?P<number>{_QUANTITY}) ?(?P<unit>{_UNIT}) )?(?P<polygon>{_either(POLYGONS)})\b"),
    ("gap", rf"leaving (?P<number>{_QUANTITY}) ?(?P<unit>{_UNIT})(?!\w)"),
    ("in place", r"(?:in place|on the spot)\b"),
    ("away", r"away\b(?! from\b)"),
    ("on one leg", rf"on (?:one|{DETERMINER}(?P<side>left|right)) (?:leg|foot)\b"),
    ("own body", rf"(?:on|onto|to|behind) {DETERMINER}(?P<body>hips?|waist|head)\b"),
    ("circle", r"(?:(?:around )?in )?(?:a|one) (?:full |whole )?circle\b(?! around)|(?:(?:in )?(?:a"
               r"|one) (?:full |whole )?circle"
               r"|all(?: the way)?)(?= (?:around|round)\b)"),
    ("everyone", r"(?:(?:to|at|towards?) )?(?:everyone|everybody|someone|somebody|(?:the )?people"
                 r"|(?:the|my|our|your) (?:audience|camera|crowd|person|viewers?|visitors?|guests?|friends?|kids"
                 r"|children|students|team|neighbou?rs?)|me|us)\b"),
    ("before the body", rf"(?:in front of|against|close to|near) {DETERMINER}(?:body|belly|stomach|waist)\b"),
    ("before the chest", rf"(?:in front of|against|close to|near) {DETERMINER}chest\b"),
    ("deed", rf"(?:(?:takes?|does|do|makes?|performs?"
             rf"|gives?|by) )?(?:(?P<number>{_QUANTITY}) (?:(?P<pace>slow|quick|fast) "
             rf"|(?P<slight>little|small|slight|short) |(?P<long>big|large|long|wide|giant) |(?P<deep>deep|low) )?"
             rf"(?P<noun>{_either(NOUN_KIND)})"
             r"|an? (?P<way>left|right) turn)\b"),
    ("verb", rf"{_either(VERB_KIND)}\b"),
    ("not", r"(?:do not|don't|dont|never|not|without)\b"),
    ("amount", rf"(?:(?P<before>for|by|in) )?(?P<number>{_QUANTITY})(?: |(?<=\d))(?P<unit>{_UNIT}"
               rf"|(?<=[^a] )steps?)(?![\w/])"
               rf"(?: (?P<more>{_FIGURE}) ?(?P<smaller>{_either(SMALLER_UNITS)})(?![\w/]))?"
               rf"|(?P<word>{_either(TIMES)})\b"),
    ("number", rf"(?!two {_COLOR}{_PAIR}\b)(?P<for>for )?(?P<number>{_FIGURE})(?!\w| of\b)"
               rf"(?! {_either(BODY_PARTS)}\b)"),
    ("moment", r"(?:for )?(?:a (?:short |little |brief )?(?:moment|while)|some time)\b|for a (?:little )?bit\b"
               r"|briefly\b"),
    ("manner", r"(?:politely|nicely|properly|happily|cheerfully|joyfully|enthusiastically|proudly|loudly"
               r"|in a (?:friendly|polite) (?:way|manner))\b"),
    ("pace", rf"{_either(PACE)}\b"),
    ("deep", r"(?:deeply|deep|low(?! shel))\b"),
    ("slight", r"(?:a (?:little |tiny )?bit|a (?:short|small|little) (?:distance|way)|a little|slightly"
               r"|partially|partly)\b"),
    ("together", r"together\b"),
    ("in turn", r"in turn\b"),
    ("pose", r"(?:in )?(?:that|this|the) (?:pose|position|posture|stance)\b|like (?:that|this)\b"),
    ("like wings", r"like (?:(?:an? )?(?:air|aero)?plane|wings|(?:the wings of )?a bird)\b"),
    ("above", r"(?:in the air|(?:up )?(?:above|over) (?:your|the|his|her|its) head)\b"),
    ("limb", rf"(?P<pair>both)(?: of them)?(?=$| ?[,.;!]| and\b| again\b| down\b)"
             rf"|(?:(?:starting |beginning |leading )?(?:with|using|by|in) )?{DETERMINER}"
             rf"(?:(?P<both>left and (?:your |the )?right|right and (?:your "
             rf"|the )?left|(?:both|two)(?: of)?"
             rf"(?: your| the)?)|(?P<side>left|right|one|other|same|each))? ?\b(?P<part>{_either(BODY_PARTS)})\b"
             rf"|(?:(?:with|in) (?:the|your|his|her|its)|your|his|her|its|the) (?P<only>left|right)(?: one)?\b"
             rf"|(?:with )?the (?P<rest>other)(?: one)?\b"
             rf"(?! {_COLOR}(?:{_NAMED}|side)\b)"),
    ("behind you", r"(?:behind|after) (?:you|yourself)\b"),
    ("across", r"from (?:left to right|right to left)\b"),
    ("flat", r"flat\b"),
    ("like a soldier", r"like an? soldier\b"),
    ("with it", r"with (?:it|them)\b"),
    ("broom", rf"(?:with|using) {DETERMINER}(?:broom|mop)\b"),
    ("direction", rf"(?:straight |out |back )?(?:to|on) (?:(?:the|your|its|his|her) )?(?P<aside>left|right|front"
                  rf"|sides?)(?: hand)?(?: side)?\b(?!(?: hand)?(?: {_PART})? of\b)"
                  rf"|(?:straight )?(?P<way>{_either(DIRECTION)})\b"
                  rf"(?! to\b| towards?\b| it\b| of\b| {DETERMINER}{_COLOR}{_NAMED}\b"
                  rf"| (?:(?:the )?two |both |all )?(?:the )?{_COLOR}{_SEVERAL}\b)"
                  rf"|(?:straight |out )?in front(?: of (?:you|yourself))?\b(?! of\b)"
                  rf"|(?P<straight>in a straight line\b|straight\b(?! to\b))"),
    ("object", rf"(?P<which>{_WHICH}(?={_THERE_IS}\b))?"
              rf"(?:(?:(?:all the way )?(?:back|up|over|straight|right|closer|all the way|near) )?(?P<to>to|towards?) "
              rf"|(?P<within>on|onto|at|in|to|near|from|off) the (?:(?P<part>left|right)(?: hand)? {_PART}"
              rf"|(?P<middle>middle|cent(?:re|er))|(?:front |near |nearest )?(?:edge|corner)) of "
              rf"|(?:(?:to|on) the )?(?P<beside>left|right)(?: hand)?(?: side)? of "
              rf"|(?P<behind>behind|(?:to|on) the (?:other|far|opposite) side of) "
              rf"|(?P<next>next to|beside|alongside|near|close to|by) "
              rf"|(?P<front>in front of) |(?P<away>away from) |(?P<preposition>{_either(PREPOSITIONS)}) )?"
              rf"(?:(?P<many>(?:(?:both|all|two)(?: of)?(?: the| your)?|the two) )?{DETERMINER}"
              rf"(?:(?P<tint>{_either(COLORS)}) )?(?P<several>{_SEVERAL})"
              rf"|(?:one|any|either) of (?:the )?(?:two )?(?P<any>{_SEVERAL})"
              rf"|(?P<other>(?:the (?:other|second)|another) (?={_COLOURED}\b))?"
              rf"(?:any |some |either )?{DETERMINER}(?:nearest |closest |far |farthest |furthest "
              rf"|(?:top|upper) (?=drawer|shelf)|(?:bottom|lower) (?=drawer))?"
              rf"(?:(?P<size>{_either(SIZE)}) (?={_COLOR}{_SIZED}\b))?"
              rf"(?:(?P<color>{_either(COLORS)}) (?={_COLOURED}\b))?"
              rf"(?P<object>{_NAMED})|(?:the )?(?P<one>{_either((*COLORS, *SIZE))}) one"
              rf"|the (?P<another>other)(?: one)?(?! side\b)|(?P<it>it)"
              rf"|(?P<them>them|both(?= (?:on|onto|in|into|down|back|next|to)\b)))\b"),
    ("air", r"(?:at |into )?the air\b"),
    ("out", r"out\b"),
    ("fully", r"(?:fully|completely|entirely|all the way|as (?:far|high|low|deep|much) as (?:possible|you can)"
              r"|(?:far|high) as (?:possible|you can))\b"),
    ("there", r"there\b"),
    ("way", rf"(?P<way>{_either(DIRECTION)})\b"),
)  # fmt: skip
"""What words can mean, in the order in which it is tried at each place; what matches none is not understood."""


@lru_cache(16)
def _grammar(objects: frozenset[str]) -> dict[str, re.Pattern[str]]:
    """`_PATTERNS` by their names; ``objects`` are names of objects besides those that are always known."""
    names = {*OBJECTS, *SYNONYM, *objects}
    named, several = _either(names), _either(map(plural, names))
    coloured = _either({*SHOWN, *(word for word, kind in SYNONYM.items() if kind in SHOWN), *objects})
    return {
        name: re.compile(pattern.replace(_NAMED, named).replace(_COLOURED, coloured).replace(_SEVERAL, several))
        for name, pattern in _PATTERNS
    }


_WORD = re.compile(
    rf"(?:like|as|without) (?:(?:an?|the) )?\w+|[+−-]\d[\w.,]*(?: {_UNIT}\b)?|[+−-]?\w+(?:[.,:/'−-]\w+)*|\S"
)
"""What is named where nothing matches."""


@dataclass(frozen=True)
class Phrase:
    """Some words of the instruction with one meaning; every word is in exactly one phrase."""

    sort: str
    """Name in `_PATTERNS`, or 'unknown'."""
    text: str
    said: dict[str, str] = field(default_factory=dict)
    """What the pattern's groups matched."""

    @property
    def is_means(self) -> bool:
        """Whether it says what something is done with: 'with your left hand'."""
        return self.text.startswith(("with ", "using ", "by ", "in "))


@dataclass
class Clause:
    """What stands between two separators: a verb with its details, or details alone."""

    separator: str
    phrases: list[Phrase] = field(default_factory=list)
    unwanted: str = ""
    """The word that says that it is not to be done: "don't", 'without'."""

    @property
    def text(self) -> str:
        """Its words."""
        return " ".join(p.text for p in self.phrases)

    @property
    def verbs(self) -> list[Phrase]:
        """What names a movement."""
        return [p for p in self.phrases if p.sort in ("verb", "deed")]

    @property
    def is_pose(self) -> bool:
        """Whether it says where hands are, and no verb: 'hands up'."""
        if self.verbs or not self.phrases:
            return False
        limb, *rest = self.phrases
        hand = limb.sort == "limb" and limb.said.get("part") in HAND_WORDS and not limb.is_means
        there = ("direction", "way", "above", "out", "own body")
        return hand and any(p.sort in there or p.said.get("preposition") == "on" for p in rest)


_VERB = rf"{_either(VERB_KIND)}\b"
_WHAT = r"(it |them |(?:the|an?|that|this) (?:\w+ ){1,2}?)"
_OWN_ARMS = rf"(?:your|his|her|the|both|both of your|both your) (?:left |right )?{_either(HAND_WORDS)}"
_ARMS, _WITH_ARMS = f"({_OWN_ARMS})", rf"\bwith ({_OWN_ARMS}|arms|hands)"
_UP = "(?:up|high|in the air|overhead|above your head)"
_BIN = _either(["bin", *(word for word, kind in SYNONYM.items() if kind == "bin")])
_THERE = (
    r"(?:reach(?:ing)?|get(?:ting)? to|arriv(?:e|ing) at|com(?:e|ing) to|have reached"
    r"|are (?:at|near|next to|close to|beside|in front of))"
)
_DURING = _either(
    form
    for word, kind in VERB_KIND.items()
    if kind in {*GESTURES_MEANWHILE, "hold", "carry"}
    for form in verb_forms(word)[2:]
)
"""Participles of what is done at the same time as something else."""
_NOT_MEANWHILE = (
    "while|whilst|and|then|but|or|before|after|by|without|not|never|stop|start|begin|keep|continue|mind|first|on|with"
    "|from|to|of|for|in|now|please|starting|beginning|when|is|are|the|a|an|your"
)
"""Words after which a participle stands for a step of its own."""


def _meanwhile(found: re.Match[str]) -> str:
    """'Walk, waving' as 'walk while waving'."""
    return found[0] if re.fullmatch(_NOT_MEANWHILE, found["before"]) else f"{found['before']} while {found['during']}"


_NOUN = _either((*OBJECTS, *SYNONYM))
_REWRITES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"(?<=[a-z])-(?=[a-z])|(?<=\d)-(?=[a-z])", " "),  # 'forty-five', '90-degree'
    (r"\b(?:(that)(s)|(you)(re)) ", lambda m: f"{m[1] or m[3]}'{m[2] or m[4]} "),
    (r"\bthat's ", "that is "),
    (rf"\b((?:the|an?|your|my) {_COLOR}{_NOUN}) (?:standing|lying|sitting|placed) (?={_THERE_IS}\b)", r"\1 that is "),
    (r"\bur\b", "your"),
    (r"\bu\b(?! turn)", "you"),
    (r"\b(you|they|it)'(re|s|ve) ", lambda m: f"{m[1]} {dict(re='are', s='is', ve='have')[m[2]]} "),
    (r"\bpush(\w* (?:(?:the|a|an) )?(?:\w+ )?\w+) open\b", r"open\1"),  # 'push the door open'
    (r"\bpush(\w*) open\b", r"open\1"),
    (r"\bpull(\w* (?:(?:the|a|an) )?(?:\w+ )?drawer(?: of the cabinet)?)(?: open| out)?\b", r"open\1"),
    (r"\bpull(\w*) (?:open|out) (?=(?:(?:the|a) )?(?:\w+ )?drawer\b)", r"open\1 "),
    (r"\b(?:push|slide)(\w*) ((?:the |it |a )?(?:drawer |door )?)(?:shut|closed|in)\b", r"close \2"),
    (r"(^|[,.;] |\b(?:and|then|please) )head for (?=(?:the|an?|that) )", r"\1head to "),
    (r"(^|[,.;] |\b(?:and|then|please) )head (?=(?:over |back |straight )?(?:to|towards?) )", r"\1walk "),
    (r"\bget (?=(?:over |back |up )?to (?:the|a|your) |away from )", "walk "),
    (rf"\buse ({DETERMINER}(?:left |right |both )?(?:{_either(HAND_WORDS | FOOT_WORDS)})) to\b", r"with \1,"),
    (r" ?(?:-+>|=+>|→|[()]) ?", ", "),
    (r"'?\btil\b", "until"),
    (r"(^|[,.;] |\b(?:and|then|please) )zig ?zag(?:s|ging)?(?= forward|$|[,.;!]| and| then)", r"\1walk in a zigzag"),
    (
        r"\b(?:lower|get|go|drop|sink) (?:your body |yourself )?(?:down )?into an? (?:(?:deep|low) )?"
        r"(squat|lunge|crouch|bow)\b",
        r"\1",
    ),
    (r"\b(an?|\d+|two|three) (forward|backward|left|right) (lunge|step|kick|punch|bow)(e?s?)\b", r"\1 \3\4 \2"),
    (r" so (?:that )?it (?:rolls|moves|slides|goes|flies) ", " "),
    (
        r"\bstand on (?:your|the|one) (?:left|right)? ?(?:leg|foot) (?:while|and|with) (?:raising |lifting )?"
        r"(?:your|the) ((?:left |right |other )?(?:knee|leg|foot))(?: raised| lifted| up)?\b",
        r"raise your \1",
    ),
    (rf"\bwav(e|es|ing) ((?:with )?{_ARMS}) (?:high |up )?(?:in the air|overhead|above your head)\b", r"wav\1 \2"),
    (r"\b(?:the|its) (?:surface|top) of (?=the|an?|it|your)\b", ""),
    (
        r"\b(walk|go|move|step)(s|ing)? diagonally (?:forward |ahead )?(?:to (?:the|your) )?(left|right)\b",
        r"turn \3 45 degrees, then \1\2 forward",
    ),
    (
        r"\b(?:return|rise|(?:come|go|get) back)(?: up)? to (?:(?:an? |your |the )?(?:upright|standing|neutral) "
        r"(?:posture|position|pose|stance)|standing(?: up)?(?: straight)?)\b",
        "stand up straight",
    ),
    (r"\bcome (?:(?:back|right|straight) )?up\b(?! (?:close|from|here|near|to|with)\b)", "stand up"),
    (r"\brepeat (?:it |this |that )?(?:with|using) (?=(?:the|your) )", "then with "),
    (r"\b((?:stand|remain|stay|wait)\w*(?: \w+){0,5}?) without moving\b", r"\1"),
    (
        r"\b(from the (?:left|right) side of (the (?:\w+ )?\w+?) to the (?:left|right) side)\b(?! of)",
        r"\1 of \2",
    ),
    (r"\bin the direction of\b", "towards"),
    (r"\bacross the (?:floor|ground|room) (?=(?:over )?(?:to|towards)\b)", ""),
    (r"\bfar (?:end|side) of\b", "other side of"),
    (r"\b(look\w*|glanc\w*) from (left|right) to (left|right)\b", r"\1 \2, then look \3"),
    (r"(and|then|,) leave(?= ?[.!]|$)", r"\1 walk away"),
    (r"\b(?:wanna|gonna) ", "want to "),
    (r"\bgimme\b", "give me"),
    (r"\blemme\b", "let me"),
    (r"\bup against\b", "against"),
    (r"\b(?:make|do|take|walk) (?:an?|one) (?:full )?lap (?:around|round|of)\b", "walk all the way around"),
    (r"\b(at|to|towards?) where ((?:the|an?) (?:\w+ )?\w+) (?:is|stands)\b", r"\1 \2"),
    (r"\b(?:grab|take|get|pick up|use) (?:the|a) (?:broom|mop),? (?:and|then|to) (?=sweep|mop|clean)", ""),
    (rf"\b(?:drop|put down) ((?:your|both|both your|the) (?:left |right )?(?:{_either(HAND_WORDS)}))\b", r"lower \1"),
    (
        r"\b((?:touch|tap|press|poke|pat|push|feel)\w* .*?)with (?:your|the|a) (?:finger(?:s|tips?)?|index finger)\b",
        r"\1with your hand",
    ),
    (
        rf"\b(?:give|show) (?:me|us) (?={_QUANTITY} (?:(?:deep|low|slow|quick|small|little) )?{_either(NOUN_KIND)}\b)",
        "do ",
    ),
    (rf"\b({_FIGURE}) (steps?)\b(.*?) ({_FIGURE}) more\b(?! {_UNIT}| steps?)", r"\1 \2\3 \4 \2 another"),
    (rf"\b((?:touch|tap|pat|press)(?:es|s|ing)? {_WHAT})on top{_END}", r"\1"),
    (rf"\b((?:take|get|bring)(?:s|ing)? {_WHAT})down\b(?! to\b)", r"\1"),
    (rf", ({_FIGURE}) of (?:them|those)\b", r", \1 times"),
    (r"\bon top of\b", "on"),
    (rf"\bon top{_END}", "on it"),
    (r"\bout of (?=(?:the|an?|it|your)\b)", "from "),
    (r" & ", " and "),
    (
        r"(?<![\w.,/-])(?:(\d+) )?(\d)[/⁄]([2-9])(?![\w./-])",
        lambda m: f"{int(m[1] or 0) + int(m[2]) / int(m[3]):.6g}",
    ),
    (r"\b(?:duck|limbo|stoop|crouch) under\b", "walk under"),
    (r"\bthrow(?:s|ing)? ((?:\w+ )?(?:\w+ )?punch(?:es)?)\b", r"do \1"),
    (r"\bdo (punch(?:es)?)\b", r"\1"),
    (
        rf"\bgives? {_WHAT}an? (?:(gentle|quick|slow) )?(push|kick|tap|knock|wipe|touch)\b",
        lambda m: f"{m[3]} {m[1]}" + {"gentle": "gently", "quick": "quickly", "slow": "slowly"}.get(m[2] or "", ""),
    ),
    (rf"\bthrough{_END}", "through it"),
    (
        r"\b(?:bring|fetch|get)(?:s|ing)? (?:me|us) ((?:the|an?|that|this|your|my) [^,.;!?]+?)"
        r"(?= and\b| then\b| ?[,.;!?]|$)",
        r"fetch \1, then hold it out",
    ),
    (
        r"\b(?:bring|fetch|get)(?:s|ing)? ((?:the|an?|that|this|your|my) (?:\w+ ){1,3}?)(?:over )?to (?:me|us)\b",
        r"fetch \1, then hold it out",
    ),
    (r"\b(?:stand|face)(?:s|ing)? with your back (?=to(?:wards?)? )", "turn your back "),
    (
        rf"\b(?:hand|give|pass) {_WHAT}(?:over )?to "
        r"(?:me|us|him|her|the (?:person|human|man|woman|operator)|someone|somebody)\b",
        r"hold out \1",
    ),
    (rf"\b((?:put|place|drop) {_WHAT}in)(?:side)?{_END}", r"\1to it"),
    (rf"\b((?:wip|scrub|rub)(?:e|es|s|ing)? {_WHAT})(?:clean|down|off)\b(?! the\b)", r"\1"),
    (rf"\b(?:hold|hand) {_WHAT}(?:out|over)\b(?! to\b)", r"hold out \1"),
    (rf"\b((?:put|place|set|lay)(?:s|ting|ing)? {_WHAT})back (?=(?:down|(?:on|in)(?:to)?)\b)", r"\1"),
    (
        rf"\b((?:put|place|set|lay|bring|return)(?:s|ting|ing)? {_WHAT})(?:(?:back )?(?:down )?(?:to )?where "
        r"(?:(?:it|they) (?:was|were|came from|stood)|you (?:found|got|took|picked) (?:it|them)(?: (?:from|up))?)"
        r"|(?:back )?(?:in|to|at|on) (?:its|their) (?:old |original )?(?:place|position|spot)s?)\b(?! on\b)",
        r"\1back",
    ),
    (r"\b((?:stand|wait|stay|stop|remain)\w*|march\w*|danc\w*|sit\w* down) (?:right )?here\b", r"\1"),
    (rf"\bdrop(?:s|ping)? {_WHAT}(?=in(?:to|side)?\b)", r"put \1"),
    (rf"\b(?:throw|toss|chuck)(?:s|ing|es)? {_WHAT}(?=in(?:to)? (?:(?:the|a) )?{_BIN}\b)", r"put \1"),
    (rf"\b(?:throw|toss|chuck)(?:s|ing|es)? {_WHAT}away\b", r"put \1into the bin"),
    (rf"\bthrow(?:s|ing)? away ((?:the|an?) (?:\w+ )?\w+){_END}", r"put \1 into the bin"),
    (rf"\bdrop(?:s|ping)? (?:off )?{_WHAT}off\b|\bdrop(?:s|ping)? off\b", lambda m: f"put {m[1] or ''}".strip()),
    (r"\b(?:perform|execute|complete)(s|ing)? (?=an? |\d|[a-z]+ )", r"do\1 "),
    (r"\b(?:do|make) an? (?:full )?(\d+)(?: degrees?)?(?: (?:spin|turn|rotation))?\b", r"turn \1"),
    (
        rf"\b(\w+) ({_UNIT}|turn|rotation) and (a (?:half|quarter))\b",
        lambda m: f"{'one' if m[1] in ('a', 'an') else m[1]} and {m[3]} {m[2]}",
    ),
    (r"\b(counter|anti) clockwise", r"\1clockwise"),
    (
        rf"\b(?:another|more) ((?:{_FIGURE} )?)({_UNIT}|steps?|turn|jump|squat)\b",
        lambda m: f"{m[1] or 'one '}{m[2]} another",
    ),
    (rf"\b({_QUANTITY}) ({_UNIT}|steps?) (?:more|further|farther)\b", r"\1 \2 another"),
    (rf"\b(for|by) (?:about|approximately|roughly|around|exactly|precisely) (?={_QUANTITY}\b)", r"\1 "),
    (r"\bhalf ?way around\b", "around"),
    (
        r"\b(march\w*\b[^.;!?]*?),?(?: while)? (?:lifting|raising|bringing|with) your knees(?: (?:up )?high| up)?\b",
        r"\1",
    ),
    (rf"\b(?:go|come|walk) (?:over )?(?:in order )?to (?={_VERB}(?! ?[,.;!]|$))", ""),  # nothing to go to
    (r"\bone (?:after the other|after another|by one)\b", "in turn"),
    (
        rf"\b(an? )({_either(POLYGONS)}) (?:(?:with|of) (?:an? )?(?:sides?|edges?)(?: lengths?)?(?: of)?|of) "
        rf"({_QUANTITY} ?{_UNIT})(?: each)?(?!\w)",
        r"\1\3 \2",
    ),
    (r"\baway from (?:you|yourself)\b", "away"),
    (
        rf"(?P<before>\w+),? (?P<during>{_DURING})(?:,? (?:all the (?:time|way)|the whole (?:time|way)))?\b(?! bag)",
        _meanwhile,
    ),
    (r"\bthen,", "then"),
    (r"\b(hold|keep|maintain) (?:that|this)(?= for\b)", r"hold it"),
    (rf"\bthe (?:height|level) of {DETERMINER}({_either(LEVEL_ANGLE)})s?\b", r"\1 height"),
    (rf"\band after (?:you )?(?={_VERB})", "and then "),
    (r"\bx ?(\d+)\b", r"\1 times"),
    (rf"\b({_either(PACE)}) and (?={_either(PACE)}\b(?! {_either(VERB_KIND)}\b))", r"\1 "),  # 'slowly and carefully'
    (r"(?<=[.;] )(?:second|third|fourth|fifth)(?:ly)?,", "then"),
    (r"\bafter (?:a )?(?:pause|wait|break) of\b", "after"),
    (rf"(\band|\bthen|\bbut|[,.;]) ({_FIGURE} ?{_either(UNITS['seconds'])}) later\b", r"\1 after \2"),
    (rf"\b(?:take|make|hang) a (left|right)(?: turn)?{_END}", r"turn \1"),
    (r"\b(turn\w*|rotat\w*) your (?:whole )?body\b(?! part)", r"\1"),
    (
        r",?(?: while)? alternat(?:ing|ely)(?: between)?(?: (?:to |on |with )?(?:your |the )?(?:arms|feet|fists|hands"
        rf"|knees|legs|sides|left and (?:(?:to |on |with )?(?:your |the )?)?right(?: {_either(BODY_PARTS)})?))?"
        r"(?:,(?= (?:starting|beginning|leading) with\b)|(?=$| ?[,.;!]| and\b| then\b| \w+ times\b| for\b))",
        " alternately",
    ),
    (rf"\bdo the same with (?=(?:your|the) (?:\w+ )?{_either(BODY_PARTS)}\b)", "with "),
    (r"\bdo the same (?:with|to|for) (?!the other side\b)", ""),
    # how often all of it is done
    (
        rf"^(?:please )?(?:(?:repeat|do|perform) (?:(?:this|that|it|the following) )?)?({_TIMES})[,:] (.+?)[.!]?$",
        lambda m: f"{re.sub('[.;] ', ', then ', m[2])}, {m[1]}",
    ),
    (
        r"[,.;]*(?: and(?: then)?| then)? (?:do|perform) (?:it|this|that|all (?:of )?this|the whole thing) "
        rf"({_TIMES})\b",
        r", \1",
    ),
    (
        r"[,.;]*(?: and(?: then)?| then)? (?:repeat(?: (?:it|this|that|everything|all of it|once(?: more)?))?"
        r"|(?:do|perform) (?:the (?:same|whole)(?: thing)?|all (?:of )?(?:it|this|that)|everything)(?: (?:all )?over)?"
        r"(?: again)?)(?=$|[.!])",
        ", twice",
    ),
    (r":(?!\d)", ","),
    (r"\b(?:each|every one) of the\b", "all the"),
    (
        rf"\b(?:each|every) (?:of the )?({_COLOR})({_NOUN})\b",
        lambda m: f"all the {m[1]}{plural(m[2])}",
    ),
    (r"\b(?:them both|both of them|all of them|them all)\b(?! (?:up|down|again)\b)", "them"),
    (r"\bthe (?:open|closed) (?=door\b)", "the "),
    (r"\b(fac|turn)(e|es|ing|s)?( to)?(?: in)? the (?:other|opposite) direction\b", r"\1\2\3 the other way"),
    # where and until when
    (
        rf"[,.;]*(?: and(?: then)?| then)? stops?(?: \w+ing)? after (?={_QUANTITY} ?(?:({_UNIT})|steps?)(?!\w))",
        lambda m: " for " if m[1] in UNITS["seconds"] else " ",
    ),
    (
        rf",? (?:until|till) you (?:have |'ve )?(?:gone|moved|covered|{_either(PAST)}) "
        rf"(?={_QUANTITY} ?(?:{_UNIT}|steps?)(?!\w))",
        " ",
    ),
    (
        r"\b((?:turn|rotat|pivot)\w*(?: (?:to (?:the|your) )?(?:left|right))?),? (?:(?:until|till|so that) you "
        r"(?:are facing|face)|(?:and|to) face|facing) (?=(?:the|an?|it|them)\b(?! other way))",
        r"\1 to ",
    ),
    (
        rf"\b(?:after|once|when|as soon as) (?:you have|you|having) ({_either(PAST)})\b",
        lambda m: f"after {PAST[m[1]]}",
    ),
    (rf",? (?:until|till) you {_THERE} ", " to "),
    (
        r",? (?:when|once|as soon as|after) (?:you (?:are|get|arrive) there|you arrive(?! at\b)|you have arrived|there"
        r"|arriving)\b",
        ", then",
    ),
    (r"\b(?:when|once|as soon as|after) you (?:are|have) (?:done|finished)\b(?: (?:that|so|this)\b)?", "then"),
    (
        r"\b(the|an?) (\w+(?: \w+)?) (?:(?:that|which) (?:is|stands|lies) (?:the )?(?:closest|nearest)"
        r"(?: to (?:you|the robot))?|(?:closest|nearest) to (?:you|the robot))\b",
        r"\1 nearest \2",
    ),
    (r"\b(nearest|closest) to (?:you|the robot) ", r"\1 "),
    (r"\b((?:jump|hop|bounc)\w*) up and down\b", r"\1 up"),
    (r"\b(nod\w*(?: your head)?) up and down\b", r"\1"),
    (r"\bfrom side to side\b", "left and right"),
    (r"\bback and forth\b", "forward and backward"),
    (r"\bsway(?:s|ing)? (left and right)\b", "lean left, then lean right"),
    (r"\b((?:bend|lean|bow)\w*(?: forward| over| down)?) (?:at|from) (?:the|your) (?:waist|hips)\b", r"\1"),
    (rf"\b(?:rais|lift)(?:es?|s|ing)? and (?:then )?lower(?:s|ing)? (?={_ARMS}\b)", "raise "),
    (rf"\b(?:keep|hold)(?:s|ing)? {_ARMS} (?:raised|lifted)\b", r"hold \1 up"),
    (rf"\b(?:rais|lift|mov)(?:es?|s|ing)? {_ARMS} up and (?:then )?down\b", r"raise \1 up"),
    (
        rf"\b(?:make|do|draw)s? (?:an? )?(?:big |large |wide |full )?circles? with {_ARMS}",
        r"circle \1",
    ),
    (rf"\b((?:mov|swing)(?:e|es|s|ing)? {_ARMS}) in (?:an? )?(?:big |large |wide |full )?circles?\b", r"circle \2"),
    (rf"\bthrow {_ARMS} (?:up )?(?=(?:in the air|up)\b)", r"raise \1 "),
    (
        r",? (?:until|till|so that) (?:they|it|your \w+(?: \w+)?) (?:are|is|reach(?:es)?) "
        rf"(?=(?:(?:up )?(?:to|at) )?{DETERMINER}{_either(LEVEL_ANGLE)}s? (?:height|level|high)\b)",
        " ",
    ),
    (r"\b(left|right) (hand|palm|fist) on your \1 hip\b", r"\1 \2 on your hip"),
    (
        r"\b((?:look|turn|twist|rotat|lean|bend)\w* (?:(?!go\b|walk|step)[^.;!?])*?(?:,|\band|\bthen)) back to "
        rf"(?:the |your )?(?:cent(?:re|er)|front|middle){_END}",
        r"\1 back",
    ),
    # what arms do meanwhile
    (
        rf"{_WITH_ARMS} (?:held|kept|raised|lifted|stretched|extended|spread|outstretched) (?:straight )?(?:out )?"
        rf"(forwards?|(?:straight )?in front(?: of (?:you|yourself))?|(?:to (?:the|your) )?sides?|sideways|{_UP})\b",
        r"while raising \1 \2",
    ),
    (rf"{_WITH_ARMS} (?:(?:straight )?{_UP}|raised|lifted)\b", r"while raising \1"),
    (rf"\bwith {_ARMS} (?:crossed|folded)\b", r"while crossing \1"),
    (rf"\bwith {_ARMS} (on (?:your|the) (?:hips?|head))\b", r"while putting \1 \2"),
    (
        rf"{_WITH_ARMS} (?:spread|outstretched|(?:stretched|extended|spread|held) out|out(?= to the sides?| wide))"
        r"(?: wide)?(?: to the sides?)?\b(?! of\b)",
        r"while raising \1 to the side",
    ),
)
"""Other ways of saying what the grammar knows, and how it knows them."""


def normalised(text: str) -> str:
    """The instruction in lower case, with single spaces, in the words of the grammar."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("_", " ")
    text = " ".join(text.split()).strip("\"'“”„« »")
    if re.match(r"(?:step )?(?:1|one)[.):] ", text):  # a numbered list
        text = re.sub(rf"(?:^|\s)(?:step )?(?:\d+|{_either(ONES)})[.):](?= [a-z])", ".", text)
    text = re.sub(r"(?:^|[;,.]? )[-–•*] (?=[a-z])", "; ", text)
    for said, known in _REWRITES:
        text = re.sub(said, known, text)
    text = re.sub(
        rf"({_QUANTITY} ?(?:{_UNIT}|steps))(?!\w)(.*?)\b(?:the same (?:distance|angle)|(?<=for )the same time)\b",
        r"\1\2\1",
        text,
    )
    return _chronological(_arrivals(_gaps(text)))


def _gaps(text: str) -> str:
    """'Stop one metre before the door', or 'until you are one metre away', as 'leaving one metre' of a walk there."""
    far = rf"((?:{_QUANTITY}) ?{_UNIT})"
    short = r"(?:before|in front of|short of|away from|from|of)"
    goal = r"(it|(?:the|an?) (?:\w+ )?\w+)"

    def until(found: re.Match[str]) -> str:
        goal = found[2]
        there = not goal or goal == "it" or goal.split()[-1] in text[: found.start()].split()
        return f" leaving {found[1]}" if there else f" to {goal} leaving {found[1]}"

    text = re.sub(rf"\bto (?:within )?{far} {short} (?!it\b){goal}", r"to \2 leaving \1", text)
    text = re.sub(rf",? (?:until|till) you are {far} (?:{short} {goal}|away\b)", until, text)

    def stopped(found: re.Match[str]) -> str:
        there = found[3] == "it" or found[3].split()[-1] in text[: found.start()].split()
        return f" leaving {found[2]}" if there else f"{found[1]}walk to {found[3]} leaving {found[2]}"

    return re.sub(rf"(^|,?(?: (?:and|but|then))* )stop {far} {short} {goal}", stopped, text)


def _arrivals(text: str) -> str:
    """'When you reach the door, knock' goes to the door first, unless that was said before."""

    def walked(found: re.Match[str]) -> str:
        goal = found[1]
        there = goal == "it" or goal.split()[-1] in text[: found.start()].split()
        return "then " if there else f"walk to {goal}, then "

    return re.sub(
        rf"\b(?:when|once|as soon as|after) (?:you )?{_THERE} (it|(?:the|a) (?:\w+ )?\w+)(?: again)?,? (?:then )?",
        walked,
        text,
    )


_FIRST = r"((?:(?:please|first|now|next|and|finally|ok|okay),? )*)"
_WAIT = rf"({_FIGURE} ?{_either(UNITS['seconds'])})"
_ORDERS = (
    (rf"{_FIRST}after (?:you )?(?={_VERB})(.+?), (.+)", "{0}{1}, then {2}"),
    (rf"{_FIRST}before (?:you )?(?={_VERB})(.+?), (.+)", "{0}{2}, then {1}"),
    (rf"{_FIRST}after {_WAIT},? (.+)", "{0}wait {1}, then {2}"),
    (rf"(.*\b{_VERB}.*?)(?:,|,? and|,? but) after {_WAIT},? (?={_VERB})(.+)", "{0}, then wait {1}, then {2}"),
    (r"(.+?),? but (?:first|before (?:that|this)),? (.+)", "{1}, then {0}"),
    (rf"(.*\b{_VERB}.*?),? before (?:you )?(?={_VERB})([^,]+)(|, .+)", "{0}, then {1}{2}"),
    (rf"(.*\b{_VERB}.*?),? after (?:you )?(?={_VERB})([^,]+)(|, .+)", "{1}, then {0}{2}"),
    (rf"(.*\b{_VERB}.*?),? after {_WAIT}", "wait {1}, then {0}"),
)
"""What 'before' and 'after' say, and the same with 'then'."""


def _chronological(text: str) -> str:
    """The steps in the order in which they are done: 'before you bow, wave' is 'wave, then bow'."""
    parts = re.split(r"((?:[.;!?]|,?(?: and)? then)(?: |$))", text)
    for k in range(0, len(parts), 2):
        for pattern, order in _ORDERS:
            if found := re.fullmatch(pattern, parts[k].strip()):
                said = list(found.groups())
                named = re.search(r"\b(?:the|an?) (?:\w+ )?\w+$", said[1])
                if order.startswith("{0}{2}") and named and not re.search(r"\b(?:the|an?) \w", said[2]):
                    said[2] = re.sub(r"\bit\b", named[0], said[2], count=1)  # 'before you take the box, look at it'
                parts[k] = order.format(*said)
                break
    return "".join(parts)


def phrases_of(text: str, objects: frozenset[str] = frozenset()) -> Iterator[Phrase]:
    """Cut the text into phrases: each character but spaces is in one."""
    grammar = _grammar(objects)
    at, opening = 0, True
    while at < len(text):
        for sort, pattern in grammar.items():
            if (found := pattern.match(text, at)) and (opening or sort != "opening"):
                said = {name: value for name, value in found.groupdict().items() if value}
                if within := said.pop("within", ""):  # 'on the left side of', 'in the middle of', 'at the edge of'
                    part = {"part": "middle"} if said.pop("middle", "") else {}
                    said |= {"preposition": within if within in ("onto", "from", "off") else "on", **part}
                yield Phrase(sort, found[0].strip(), said)
                break
        else:
            found, sort = _WORD.match(text, at), "unknown"
            assert found  # any character is a word
            yield Phrase(sort, found[0])
        opening = sort in ("separator", "while", "polite") or (opening and sort == "opening")
        at = found.end()
        while text[at : at + 1] == " ":
            at += 1
