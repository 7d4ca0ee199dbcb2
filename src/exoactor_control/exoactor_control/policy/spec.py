"""Observation and output of a policy, as data: ``policies/*.yaml``, or a file next to the network.

`exoactor_control.policy.observations` documents the entries ``groups`` and ``observation``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from exoactor_control.policy.observations import Observation
from exoactor_control.reference.trajectory import POLICY_RATE
from exoactor_core.errors import BadInput, Missing
from exoactor_core.motion import JOINT_NAMES
from exoactor_core.robot import EFFORT_LIMITS

FOLDER = Path(__file__).parents[1] / "policies"
SHIPPED = "exoactor"
"""Name of the policy that comes with this package."""


_Numbers = Annotated[np.ndarray, BeforeValidator(lambda values: np.array(values, dtype=float))]


@dataclass(frozen=True)
class Encoder:
    """A network before the policy's own, whose output is the term ``token``."""

    file: str
    """In the policy's folder."""
    input: tuple[int, ...]
    output: tuple[int, ...]
    observation: list[dict[str, Any]]
    mode: int = 0
    """While a motion runs; 0 in its blends and while standing."""


@dataclass(frozen=True)
class PolicySpec:
    """A policy's layout; arrays of joints are in ``joint_order``, n of the G1's joints.

    Raises
    ------
    BadInput
        Its numbers are inconsistent: the message says which.
    """

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True, extra="ignore")

    name: str
    rate: float
    """Hz."""
    input: tuple[int, ...]
    output: tuple[int, ...]
    joint_order: tuple[str, ...]
    """Names; other joints hold the reference's positions."""
    groups: dict[str, list[dict[str, Any]]]
    observation: list[dict[str, Any]]
    default_pose: _Numbers
    """(n,) rad."""
    kp: _Numbers
    """(n,) N m/rad."""
    kd: _Numbers
    """(n,) N m s/rad."""
    effort_limits: _Numbers
    """(n,) N m."""
    action_scale: float | _Numbers
    """rad, one number or (n,): target = default_pose + action_scale * clip(action)."""
    action_clip: float
    encoder: Encoder | None = None
    single_support: bool = False
    """Whether a regulator holds the robot while a motion stands on one leg (`controller.single_support`)."""
    outer_loop: bool = True
    """Whether the outer loop of `controller.tracker` is closed around it; False: it observes its position and
    heading."""
    inputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Observations for the network's further inputs, by name."""
    feedback: dict[str, str] = field(default_factory=dict)
    """Further inputs that receive an output of the previous step (zeros at the start), by name: name of the output."""
    step_input: str = ""
    """Further input that receives the number of steps since the start; empty: none."""
    max_steps: int = 0
    """Steps after which step count and feedback restart; 0: never."""
    action_output: str = ""
    """Name of the output that is the action; empty: the first."""
    alternative: str = ""
    """File beside this one, of a policy with the same gains and limits, which the rehearsal tries for motions that this
    one does not do well; empty: none."""

    def __post_init__(self) -> None:
        self._check_joints()
        if self.rate != POLICY_RATE:
            raise BadInput(f"the rate is {self.rate:g} Hz, but references run at {POLICY_RATE:g} Hz")
        for what, parts, takes in self._observations():
            observation = Observation(self.groups, parts, self.joint_order)
            if takes is not None and observation.size != takes:
                raise BadInput(
                    f"the {what}'s terms make {observation.size} numbers ({observation}), but its input takes {takes}"
                )

    def _check_joints(self) -> None:
        for i, name in enumerate(self.joint_order):
            if name not in JOINT_NAMES:
                raise BadInput(f"joint_order names '{name}', which is not a joint of the G1")
            if name in self.joint_order[:i]:
                raise BadInput(f"joint_order names '{name}' twice")
        n = len(self.joint_order)
        for name in ("default_pose", "kp", "kd", "effort_limits", "action_scale"):
            values = np.asarray(getattr(self, name), dtype=float)
            one_will_do = name == "action_scale" and not values.ndim
            if not (one_will_do or values.shape == (n,)) or not np.isfinite(values).all():
                raise BadInput(f"{name} must be {n} finite numbers, one for each joint of joint_order")
            object.__setattr__(self, name, float(values) if one_will_do else values)
        if not self.action_clip > 0.0:
            raise BadInput(f"action_clip is {self.action_clip:g}, but it must be positive")
        if not self.output or self.output[-1] != n:
            raise BadInput(f"its output {list(self.output)} does not end in {n}, the joints of joint_order")

    def _observations(self) -> Iterator[tuple[str, list[dict[str, Any]], int | None]]:
        yield "observation", self.observation, self.input[-1]
        for name, parts in self.inputs.items():
            yield name, parts, None
        if self.encoder is not None:
            yield "encoder", self.encoder.observation, self.encoder.input[-1]

    @classmethod
    def of_terms(
        cls, name: str, joints: Sequence[str], groups: dict[str, Any], parts: list[dict[str, Any]], **entries: Any
    ) -> PolicySpec:
        """Create the spec of a policy at 50 Hz whose sizes follow from its terms; effort limits are the motors'."""
        limits = [EFFORT_LIMITS[JOINT_NAMES.index(j)] if j in JOINT_NAMES else np.nan for j in joints]
        size = Observation(groups, parts, joints).size
        defaults: dict[str, Any] = {
            "rate": POLICY_RATE,
            "input": (1, size),
            "output": (1, len(joints)),
            "effort_limits": np.array(limits),
            "action_clip": np.inf,
        }
        return cls(name=name, joint_order=tuple(joints), groups=groups, observation=parts, **defaults | entries)

    @classmethod
    def read(cls, d: dict[str, Any]) -> PolicySpec:
        """Create a spec from the entries of a YAML file; raises `BadInput` for missing or wrong ones."""
        with _as_bad_input():
            groups = {name: [_term(term) for term in terms] for name, terms in d["groups"].items()}
            return TypeAdapter(cls).validate_python(d | {"groups": groups})

    @classmethod
    def load(cls, path: str | Path) -> PolicySpec:
        """Read a spec.

        Raises
        ------
        Missing
            There is no such file.
        BadInput
            It lacks an entry, holds a wrong one, or its terms do not add up to its input shape.
        """
        data = load_yaml(path)
        with in_file(path):
            return cls.read(data)


def with_history(group: str, steps: int) -> dict[str, Any]:
    """Part of an observation as in Isaac Lab: so many steps, oldest first, initialised with copies of the first."""
    history = {"history": steps - 1, "present": True, "fill": "first"} if steps > 1 else {}
    return {"groups": [group], **history}


def _term(entry: str | dict[str, Any]) -> dict[str, Any]:
    return {"term": entry} if isinstance(entry, str) else dict(entry)


@contextmanager
def _as_bad_input() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        entry = ".".join(str(part) for part in first["loc"])
        what = f"there is no entry '{entry}'" if first["type"] == "missing" else f"{entry}: {first['msg']}"
        raise BadInput(f"it is not a policy spec: {what}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"there is no entry {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
        raise BadInput(f"it is not a policy spec: {what}") from None


@contextmanager
def in_file(path: str | Path) -> Iterator[None]:
    """Turn any error into one sentence about a file."""
    try:
        with _as_bad_input():
            yield
    except BadInput as error:
        raise BadInput(f"{path}: {error}.") from None


class _Loader(yaml.SafeLoader):
    """Skips what only Python could construct (such as Isaac Lab's slices)."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file with a mapping; raises `Missing` and `BadInput`.

    Its entry ``base`` names a known layout, which provides all entries that the file lacks.
    """
    path = Path(path).expanduser()
    try:
        data = yaml.load(path.read_text(), _Loader)
    except FileNotFoundError:
        raise Missing(f"There is no policy spec {path}.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"The policy spec {path} cannot be read: {error}.") from None
    if not isinstance(data, dict):
        raise BadInput(f"{path}: it is not a policy spec: it holds no entries.")
    base = data.pop("base", None)
    return data if base is None else load_yaml(FOLDER / f"{base}.yaml") | data


@cache
def known_specs() -> dict[str, PolicySpec]:
    """The layouts that come with this package, by name."""
    return {path.stem: PolicySpec.load(path) for path in sorted(FOLDER.glob("*.yaml"))}
