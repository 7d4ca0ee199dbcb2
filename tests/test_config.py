"""Every option of every backend stands in config/exoactor.yaml, with a comment, and nothing that is none."""

import inspect
import re
from pathlib import Path

import pytest
import yaml

from exoactor_core.errors import ExoActorError
from exoactor_core.stages import backend_class, backend_names
from exoactor_gen.video_judge.judge import Judge

CONFIG = (Path(__file__).parents[1] / "src/exoactor/config/exoactor.yaml").read_text()
STAGES = {"generator": "generate", "pose_estimator": "estimate", "retargeter": "retarget", "rehearsal": "track"}
SAME = {"omni": "kling", "veo": "kling", "sora": "kling", "fal": "kling", "replicate": "kling", "vitpose": "mediapipe"}
"""Backends whose options stand with another's."""
MORE = {"diffusers": r"planner.*|template|embody.*|robot"}
"""What of kling's options another backend has too, as a comment says."""


def examples(node):
    """What the commented lines of a node would set."""
    lines = CONFIG.split(f"/**/{node}:")[1].split("\n/**/")[0].splitlines()
    told = [line[6:] for line in lines if re.match(r"    # +\w+:", line)]
    return yaml.safe_load("\n".join(told)) or {}


@pytest.mark.parametrize("node", STAGES)
def test_every_option_is_in_the_config(node):
    sections = examples(node)
    for name in backend_names(STAGES[node]):
        try:
            kind = backend_class(STAGES[node], name)
        except ExoActorError:
            continue  # a library that this machine lacks
        options = set(inspect.signature(kind).parameters) - {"policy"}  # a launch argument
        own = set(sections.get(name, {}))
        assert own <= options, name
        told = own | set(sections.get(SAME.get(name, ""), {}))
        told |= {o for o in sections.get("kling", {}) if re.fullmatch(MORE.get(name, "-"), o)}
        assert options <= told, (name, options - told)
    if node == "generator":
        assert set(sections["judge"]) == set(inspect.signature(Judge).parameters)


def test_every_example_has_a_comment():
    """Its own, or the one that it shares with the line above."""
    lines = [line for line in CONFIG.splitlines() if re.match(r"    #   \w+: ", line)]
    bare = [line for line in lines if not re.search(r"\S +# \S", line[8:])]
    assert len(lines) > 60
    assert len(bare) < 0.2 * len(lines), bare
