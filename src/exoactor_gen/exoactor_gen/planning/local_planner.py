"""A chat model of `transformers` on this machine as the planner; all that it can write is shaped like a plan.

The shaping is ours, since libraries do not do as well: outlines_core 0.2.14 takes 8 s and 540 MB to index a plan's
pattern for 95 tokens of one character, llguidance 1.9.1 refuses tokenizers whose decoder it does not know, and
lm-format-enforcer 0.11.3 does not import beside transformers 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import regex
import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    LogitsProcessor,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from exoactor_core.errors import BadInput, Missing, ServiceFailed
from exoactor_core.validation import validated
from exoactor_gen.plan import Draft, Plan
from exoactor_gen.planning.planners import MAX_TRIES, messages
from exoactor_gen.waiting import Tick

MAX_TOKENS = 1500
"""Tokens of an answer, at most."""
_MAX_CHOICES = 20
"""Tokens that are left to choose from at each step, at most, and"""
_MAX_LOGIT_GAP = 10.0
"""how much smaller the logit of one may be than that of the likeliest."""


class LocalChat:
    """Plan with a local chat model; one that takes images is shown the scene's.

    It is a folder or repository id; its weights must be safetensors, and it must have a chat template. It is on the GPU
    only while it plans: the video model needs the room.

    Raises
    ------
    Missing
        The model is not there.
    BadInput
        It is no chat model.
    """

    def __init__(self, model: str) -> None:
        self.name = model
        try:
            self.sees = type(AutoConfig.from_pretrained(model)) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
            self.reader = (AutoProcessor if self.sees else AutoTokenizer).from_pretrained(model)
            kind = AutoModelForImageTextToText if self.sees else AutoModelForCausalLM
            self.model = kind.from_pretrained(model, dtype="auto", use_safetensors=True).eval()
        except (OSError, ValueError, ImportError) as error:
            reason = " ".join(str(error).split())[:300]
            raise Missing(f"The language model {model} cannot be loaded: {reason}") from None
        self.tokenizer = self.reader.tokenizer if self.sees else self.reader
        if not self.reader.chat_template:
            raise BadInput(f"The language model {model} has no chat template: take one tuned for instructions.")
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.shape = regex.compile(pattern(Draft.model_json_schema()))

    def __call__(self, instruction: str, image: np.ndarray | None, longest: float, tick: Tick) -> Plan:
        """Plan. Raises `ServiceFailed`: no try gave a valid plan."""
        shown = {"type": "image", "image": Image.fromarray(image)} if self.sees and image is not None else None
        talk = messages(instruction, longest, shown)
        if self.sees:  # templates of such models want everything in parts
            for said in talk:
                if isinstance(said["content"], str):
                    said["content"] = [{"type": "text", "text": said["content"]}]
        try:
            self.model.to(self.device)
            return self._plan(instruction, talk, tick)
        finally:
            self.model.to("cpu")

    def _plan(self, instruction: str, talk: list[dict[str, Any]], tick: Tick) -> Plan:
        shape: dict[str, Any] = {"tokenize": True, "return_tensors": "pt", "return_dict": True}
        tokens: Any = self.reader.apply_chat_template(talk, add_generation_prompt=True, enable_thinking=False, **shape)
        given = tokens.to(self.model.device)
        start = given["input_ids"].shape[1]
        wrong = ""
        for attempt in range(MAX_TRIES):
            torch.manual_seed(attempt)
            out = self.model.generate(
                **given,
                max_new_tokens=MAX_TOKENS,
                do_sample=attempt > 0,  # the first answer is the likeliest one
                logits_processor=[_Shaped(self.tokenizer, self.shape, start, _MAX_CHOICES if attempt else 1, tick)],
                eos_token_id=self.tokenizer.eos_token_id,
                pad_token_id=self.tokenizer.eos_token_id,
            )
            answer: Any = self.tokenizer.decode(out[0, start:], skip_special_tokens=True)
            try:
                draft = validated(Draft, answer, "The answer")
                return Plan(instruction=instruction, planner=self.name, actions=draft.actions)
            except BadInput as error:
                wrong = str(error)
        raise ServiceFailed(f"The language model {self.name} gave no valid plan in {MAX_TRIES} tries. {wrong}")


class _Shaped(LogitsProcessor):
    """Leaves only tokens with which the answer can still become a match, the likeliest of them."""

    def __init__(self, tokenizer: Any, shape: regex.Pattern, start: int, choices: int, tick: Tick) -> None:
        self.tokenizer, self.shape, self.start, self.choices, self.tick = tokenizer, shape, start, choices, tick
        self.special = set(tokenizer.all_special_ids)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.tick()
        written = input_ids[0, self.start :].tolist()
        text = self._text(written)
        allowed: list[int] = []
        order = [] if self.shape.fullmatch(text) else torch.argsort(scores[0], descending=True).tolist()
        for token in order:
            if len(allowed) == self.choices or (allowed and scores[0, token] < scores[0, allowed[0]] - _MAX_LOGIT_GAP):
                break
            longer = "" if token in self.special else self._text([*written, token])
            if len(longer) > len(text) and self.shape.fullmatch(longer, partial=True):
                allowed.append(token)
        allowed = allowed or [self.tokenizer.eos_token_id]  # it is complete, or no token of this vocabulary fits
        out = torch.full_like(scores, -torch.inf)
        out[0, allowed] = scores[0, allowed]
        return out

    def _text(self, tokens: list[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def pattern(schema: Mapping[str, Any]) -> str:
    """Regular expression of the JSON texts that fit a schema: keys in its order, strings in printable ASCII.

    Numbers are positive, below a power of ten that the schema states, and of two decimals.
    """
    return _pattern(schema, schema.get("$defs", {}))


def _pattern(s: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    if "$ref" in s:
        return _pattern(defs[s["$ref"].rpartition("/")[2]], defs)
    if "enum" in s:
        return "(?:" + "|".join(f'"{regex.escape(value)}"' for value in s["enum"]) + ")"
    if "anyOf" in s:
        return "(?:" + "|".join(_pattern(option, defs) for option in s["anyOf"]) + ")"
    kind = s.get("type")
    if kind == "object":
        pairs = (f'"{name}": ?{_pattern(value, defs)}' for name, value in s["properties"].items())
        return r"\{ ?" + ", ?".join(pairs) + r" ?\}"
    if kind == "array":
        item, low, high = _pattern(s["items"], defs), s.get("minItems", 0), s.get("maxItems", 99)
        some = rf"{item}(?:, ?{item}){{{max(0, low - 1)},{high - 1}}}"
        return rf"\[{some}\]" if low else rf"\[(?:{some})?\]"
    if kind == "string":
        characters = "[a-z -]" if "pattern" in s else r"[ !#-\[\]-~]"
        return rf'"{characters}{{{s.get("minLength", 0)},{s.get("maxLength", 200)}}}"'
    if kind == "null":
        return "null"
    whole = rf"[1-9]\d{{0,{len(str(int(s['exclusiveMaximum']) - 1)) - 1}}}"
    return whole if kind == "integer" else rf"(?:0\.[2-9]\d?|{whole}(?:\.\d{{1,2}})?)"
