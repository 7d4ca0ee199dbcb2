"""What turns an instruction into a plan: rules, the words as they stand, or a language model."""

from __future__ import annotations

import math
import os
import re
import time
import urllib.parse
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from exoactor_core.errors import BadInput, Missing, Refused, ServiceFailed
from exoactor_core.optional import optional_import
from exoactor_core.stages import GenerateRequest, OnPlan, Progress
from exoactor_core.validation import validated
from exoactor_gen.http_client import HttpClient, Request
from exoactor_gen.image import data_url
from exoactor_gen.mannequin.choreography import Choreography, plan_of
from exoactor_gen.mannequin.movement import KINDS
from exoactor_gen.options import VideoModelOptions
from exoactor_gen.plan import MAX_ACTIONS, Action, Draft, Plan, schema
from exoactor_gen.waiting import Tick

Planner = Callable[[str, np.ndarray | None, float, Tick], Plan]
"""Called with the instruction, an image of the scene (H, W, 3) RGB or None, the most seconds that it may take, and
what is called while waiting."""

MAX_TRIES = 3
"""How often a language model is asked for a valid plan."""
ENDPOINT_TIMEOUT = 300.0
"""s until an endpoint that does not answer is given up."""
OPENAI = "https://api.openai.com/v1"

STEP_SECONDS, MIN_STEP_SECONDS = 4.0, 1.5
"""s that a step in its own words is given, and the least where the video has to be shorter."""
PERSON_PACE = 0.75
"""Share of the mannequin's time, which is as slow as a robot, that a person takes."""
VERBATIM_PREFIX = "does this: "
_NOT_ALONE = r"\b(?:not|never|no|\w+n['’]t|without|stop|or|if|unless|until|while|before|after|instead|but)\b"
"""Words that may change what both sides of an 'and' mean: such a step stays whole."""

_SYSTEM = """\
You plan what one person does, who is filmed so that a humanoid robot can do the same afterwards. Turn the instruction
into the bodily movements that carry it out, in their order, as JSON. Use as few steps as the task needs, and only what
a person does with the body: no thoughts, no camera, no second person. Each step has
- verb: one of {verbs} where one fits, else another plain verb in lower case;
- description: one English sentence without its subject ("walks forward two metres"), with side, direction and object;
- seconds: how long it takes an unhurried person; all steps together at most {longest:g};
- side, direction (as the person sees it), distance in metres, angle in degrees, count: null where they say nothing;
- objects: the things that are touched, or walked to or around."""


def load_planner(options: VideoModelOptions) -> Planner:
    """Get the planner that a generator's options name.

    Raises
    ------
    BadInput
        It lacks a model.
    Missing
        The local model, or a library for it, is not there.
    """
    name, model = options.planner, options.planner_model
    if name == "auto":
        return lambda instruction, image, longest, tick: auto(instruction, longest)
    if name == "rules":
        return _by_rules
    if name == "verbatim":
        return lambda instruction, image, longest, tick: verbatim(instruction)
    if not model:
        raise BadInput(f"The planner '{name}' needs the option planner_model: which language model it asks.")
    if name == "endpoint":
        return Endpoint(model, options.planner_url)
    return optional_import("exoactor_gen.planning.local_planner", "The planner 'local'").LocalChat(model)


def planned(request: GenerateRequest, planner: Planner, longest: float, tick: Tick = lambda: None) -> Plan:
    """The plan that the request brings, or the planner's, which is asked for at most ``longest`` seconds.

    Raises `BadInput`, where the request's plan is none or there is no instruction; and as the planner.
    """
    if request.plan is not None:
        return Plan.read(request.plan)
    if not request.instruction.strip():
        raise BadInput("The instruction is empty: say what to do.")
    return planner(request.instruction, request.scene_image, longest, tick)


def plan_only(request: GenerateRequest, longest: float, options: VideoModelOptions) -> dict[str, Any]:
    """The plan of a request as JSON-ready values, by a generator's options.

    Raises
    ------
    ExoActorError
        As `plan_within`.
    """
    return planned(request, load_planner(options), longest).within(longest).data()


def plan_within(
    request: GenerateRequest, planner: Planner, longest: float, tick: Tick, progress: Progress, on_plan: OnPlan | None
) -> Plan:
    """The plan of `planned`, made to fit into ``longest`` seconds; it is reported, also where it is too long.

    Raises
    ------
    BadInput
        As `planned`, or the plan is too long.
    """
    plan = planned(request, planner, longest, tick)
    try:
        plan = plan.within(longest)
    finally:  # one that is too long is reported as well, to be shortened
        progress(0.0, f"Plan: {plan}")
        if on_plan:
            on_plan(plan.data())
    return plan


def _by_rules(instruction: str, image: np.ndarray | None, longest: float, tick: Tick) -> Plan:
    try:
        return plan_of(instruction)
    except BadInput as error:
        raise BadInput(
            f"{error} The option planner chooses another way to plan: verbatim takes the words as they stand, endpoint "
            "and local ask a language model."
        ) from None


def auto(instruction: str, longest: float) -> Plan:
    """Plan any sentence for a video model.

    Steps that the rules understand become actions at a person's pace, each other step is an action in its own
    words. Times are made to fit into ``longest`` seconds as far as steps in their own words can be shorter. Raises
    `BadInput`: there are no words.
    """
    steps = [_understood(step) or _in_own_words(step) for step in _steps(instruction)]
    actions = [action for step in steps for action in step]
    free = [a for a in actions if a.description.startswith(VERBATIM_PREFIX)]
    if free:
        left = (longest - sum(a.seconds for a in actions if a not in free)) / len(free)
        each = math.floor(100 * min(STEP_SECONDS, max(MIN_STEP_SECONDS, left))) / 100
        actions = [a.model_copy(update={"seconds": each}) if a in free else a for a in actions]
    return _plan(instruction, "auto", actions)


def _steps(instruction: str) -> list[str]:
    """The instruction in steps: the whole, or parts at 'then', commas and 'and' where the rules understand a part."""
    if _understood(instruction):
        return [instruction]
    steps = []
    for part in _parts(instruction):
        pieces = re.split(r"(,?\s+and\s+|,\s+)", part)
        if _understood(part) or re.search(_NOT_ALONE, part, re.IGNORECASE):
            pieces = [part]
        whole = pieces[0]
        for joint, piece in zip(pieces[1::2], pieces[2::2], strict=True):
            if _understood(whole) or _understood(piece):
                steps.append(whole)
                whole = piece
            else:
                whole += joint + piece
        steps.append(whole)
    return steps


@lru_cache(64)
def _understood(text: str) -> list[Action]:
    """The rules' actions at a person's pace; none where they do not understand."""
    try:
        choreography = Choreography.of_instruction(text)
    except BadInput:
        return []
    actions = []
    for action, movement in zip(choreography.plan.actions, choreography.movements, strict=True):
        stay = movement.seconds or 0.0
        seconds = round(stay + PERSON_PACE * max(action.seconds - stay, 0.5), 2)
        actions.append(action.model_copy(update={"seconds": seconds}))
    return actions


def verbatim(instruction: str) -> Plan:
    """Take the words as they stand: one action for each part between 'then', ';' and full stops.

    Raises
    ------
    BadInput
        There are no words.
    """
    actions = [action for part in _parts(instruction) for action in _in_own_words(part)]
    return _plan(instruction, "verbatim", actions)


def _plan(instruction: str, planner: str, actions: list[Action]) -> Plan:
    if len(actions) > MAX_ACTIONS:
        raise BadInput(f"The instruction has {len(actions)} steps, but {MAX_ACTIONS} are the most: give it in parts.")
    return Plan(instruction=instruction, planner=planner, actions=tuple(actions))


def _parts(instruction: str) -> list[str]:
    """The words between 'then', ';' and full stops."""
    parts = re.split(r"\s*(?:[;.!?]+(?:\s+|$)|,?\s*\b(?:and )?then\b\s*)", instruction.strip())
    parts = [part.strip(" ,") for part in parts if re.search(r"\w\w", part)]
    if not parts:
        raise BadInput("The instruction is empty: say what to do.")
    return parts


def _in_own_words(text: str) -> list[Action]:
    room = 240 - len(VERBATIM_PREFIX)
    if len(text) > room:
        raise BadInput(
            f"A step of the instruction has {len(text)} characters, but {room} are the most: say it shorter."
        )
    verb = next(iter(re.findall(r"[a-z]{2,30}", text.lower())), "do")
    return [Action(verb=verb, description=VERBATIM_PREFIX + text, seconds=STEP_SECONDS)]


def messages(instruction: str, longest: float, image: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The messages to a chat model; ``image`` is the part of the content that holds an image of the scene."""
    system, asked = _SYSTEM.format(verbs=", ".join(KINDS), longest=longest), f"Instruction: {instruction}"
    content: Any = asked
    if image:
        content = [{"type": "text", "text": f"{asked}\nThe picture shows where it is done."}, image]
    return [{"role": "system", "content": system}, {"role": "user", "content": content}]


class Endpoint:
    """A language model behind an OpenAI-compatible chat/completions, with structured output.

    Protocol: https://platform.openai.com/docs/guides/structured-outputs (response_format of type json_schema); vLLM,
    llama.cpp, Ollama and most services speak it. The key is read from EXOACTOR_PLANNER_KEY, and for OpenAI itself from
    OPENAI_API_KEY; servers of one's own mostly need none.
    """

    def __init__(self, model: str, url: str = "") -> None:
        self.model, url = model, url or OPENAI
        names = ["EXOACTOR_PLANNER_KEY"]
        if urllib.parse.urlsplit(url).netloc == urllib.parse.urlsplit(OPENAI).netloc:
            names.append("OPENAI_API_KEY")
        key = next((os.environ[name] for name in names if os.environ.get(name)), "")
        if not key and len(names) > 1:
            raise Missing(f"The planner needs a key of OpenAI: set {' or '.join(names)} in the environment.")
        self.web = HttpClient("The planner's endpoint", url, key, names[-1], timeout=120.0)

    def __call__(self, instruction: str, image: np.ndarray | None, longest: float, tick: Tick) -> Plan:
        """Ask for a plan; an answer that is none is returned with what is wrong, a few times.

        Raises
        ------
        Refused
            The model refuses.
        ServiceFailed
            It gives no valid plan.
        ExoActorError
            As `HttpClient.fetch`.
        """
        shown = None if image is None else {"type": "image_url", "image_url": {"url": data_url(image)}}
        talk = messages(instruction, longest, shown)
        form = {"type": "json_schema", "json_schema": {"name": "plan", "strict": True, "schema": schema()}}
        wrong = ""
        for _ in range(MAX_TRIES):
            body = {"model": self.model, "messages": talk, "response_format": form}
            question = Request("chat/completions", "POST", json=body, idempotent=True)
            answer = self.web.fetch_json(question, tick, time.monotonic() + ENDPOINT_TIMEOUT)
            content = _content(answer)
            try:
                draft = validated(Draft, _json_in(content), "The answer")
                return Plan(instruction=instruction, planner=self.model, actions=draft.actions)
            except BadInput as error:
                wrong = str(error)
            talk = [
                *talk,
                {"role": "assistant", "content": content},
                {"role": "user", "content": f"{wrong} Give the whole plan again, as JSON."},
            ]
        raise ServiceFailed(f"The language model {self.model} gave no valid plan in {MAX_TRIES} tries. {wrong}")


def _content(answer: Any) -> str:
    try:
        message = answer["choices"][0]["message"]
        if message.get("refusal"):
            raise Refused(f"The language model refuses to plan this: {' '.join(str(message['refusal']).split())[:300]}")
        return str(message.get("content") or "")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ServiceFailed(
            "The planner's endpoint did not answer as chat/completions does: is the URL right?"
        ) from None


def _json_in(text: str) -> str:
    """The JSON object in an answer that may have words or a fence around it."""
    begin, end = text.find("{"), text.rfind("}")
    return text[begin : end + 1] if 0 <= begin < end else text
