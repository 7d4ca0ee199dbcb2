"""Trackers as data: an ONNX file, and a description of what it is fed and what its output means.

The descriptions in ``policies/*.yaml`` are the known layouts; others can be given as a file.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import yaml
from scipy.spatial.transform import Rotation

from exoactor.errors import BadInput, Missing
from exoactor.motion import JOINT_NAMES

if TYPE_CHECKING:
    from exoactor_control.reference import Frame
    from exoactor_control.states import RobotState

NUM_JOINTS = len(JOINT_NAMES)
_FOLDER = Path(__file__).parent / "policies"


def roll_pitch_yaw(quat_wxyz: np.ndarray) -> np.ndarray:
    """Roll, pitch, yaw in rad, (..., 3), of R = Rz(yaw) Ry(pitch) Rx(roll)."""
    return Rotation.from_quat(quat_wxyz, scalar_first=True).as_euler("ZYX")[..., ::-1]


# Each term: (robot state, reference frame, policy) -> (n,). Joints in motor order; `Policy` puts them into its own.
_Term = Callable[["RobotState", "Frame", "Policy"], np.ndarray]
_TERMS: dict[str, tuple[int, _Term]] = {
    "reference_lin_vel_xy": (2, lambda s, r, p: r.lin_vel_xy),
    "reference_height": (1, lambda s, r, p: np.array([r.height])),
    "reference_roll_pitch": (2, lambda s, r, p: r.roll_pitch),
    "reference_yaw_rate": (1, lambda s, r, p: np.array([r.yaw_rate])),
    "reference_joint_pos": (NUM_JOINTS, lambda s, r, p: r.joint_pos[p.order]),
    "ang_vel": (3, lambda s, r, p: s.ang_vel),
    "roll_pitch": (2, lambda s, r, p: roll_pitch_yaw(s.quat_wxyz)[:2]),
    "joint_pos_rel": (NUM_JOINTS, lambda s, r, p: s.joint_pos[p.order] - p.description.default_pose),
    "joint_vel": (NUM_JOINTS, lambda s, r, p: s.joint_vel[p.order]),
    "last_action": (NUM_JOINTS, lambda s, r, p: p.last_action),
}


@dataclass(frozen=True)
class Description:
    """A tracker's layout, as its YAML file gives it; arrays of joints are in ``joint_order``."""

    name: str
    rate: float
    input: tuple[int, ...]
    output: tuple[int, ...]
    joint_order: tuple[str, ...]
    groups: dict[str, list[dict[str, Any]]]
    observation: list[dict[str, Any]]
    default_pose: np.ndarray
    kp: np.ndarray
    kd: np.ndarray
    effort_limits: np.ndarray
    action_scale: float
    action_clip: float

    @classmethod
    def load(cls, path: str | Path) -> Description:
        """Read a description.

        Raises
        ------
        Missing
            There is no such file.
        BadInput
            It lacks an entry, holds a wrong one, or its terms do not add up to its input shape.
        """
        path = Path(path)
        try:
            text = path.read_text()
        except FileNotFoundError:
            raise Missing(f"There is no policy description {path}.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"The policy description {path} cannot be read: {error}.") from None
        try:
            d = yaml.safe_load(text)
            joints = {k: np.array(d[k], dtype=float) for k in ("default_pose", "kp", "kd", "effort_limits")}
            description = cls(
                name=str(d["name"]),
                rate=float(d["rate"]),
                input=tuple(int(n) for n in d["input"]),
                output=tuple(int(n) for n in d["output"]),
                joint_order=tuple(d["joint_order"]),
                groups={str(k): list(v) for k, v in d["groups"].items()},
                observation=list(d["observation"]),
                action_scale=float(d["action_scale"]),
                action_clip=float(d["action_clip"]),
                **joints,
            )
            size = sum(
                description.width(part["groups"]) * int(part.get("history", 1)) for part in description.observation
            )
        except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"{path} is not a policy description: {type(error).__name__}: {error}.") from None
        if sorted(description.joint_order) != sorted(JOINT_NAMES):
            raise BadInput(f"{path}: joint_order must name each of the G1's 29 joints once.")
        for name, values in joints.items():
            if values.shape != (NUM_JOINTS,) or not np.isfinite(values).all():
                raise BadInput(f"{path}: {name} must be {NUM_JOINTS} finite numbers.")
        if description.rate != 50.0:
            raise BadInput(f"{path}: the rate is {description.rate:g} Hz, but references run at 50 Hz.")
        if size != description.input[-1]:
            takes = description.input[-1]
            raise BadInput(f"{path}: the observation's terms make {size} numbers, but its input takes {takes}.")
        return description

    def width(self, groups: list[str]) -> int:
        """Numbers in one step of these groups."""
        return sum(_TERMS[term["term"]][0] for group in groups for term in self.groups[group])


@cache
def known_descriptions() -> tuple[Description, ...]:
    """The layouts that this package knows."""
    return tuple(Description.load(path) for path in sorted(_FOLDER.glob("*.yaml")))


class Policy:
    """A tracker that is run on the CPU in one thread. Build it with `load`."""

    def __init__(self, session: onnxruntime.InferenceSession, description: Description) -> None:
        self.description = description
        self._session = session
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name
        self.order = np.array([JOINT_NAMES.index(name) for name in description.joint_order])
        """(29,) motor index of each of the policy's joints."""
        self._terms = {name: [self._compile(term) for term in terms] for name, terms in description.groups.items()}
        self.reset()

    @classmethod
    def load(cls, onnx_path: str | Path, description: str | Path | None = None) -> Policy:
        """Load a tracker.

        Parameters
        ----------
        onnx_path
            The network.
        description
            YAML file, or name of a known layout; None: the known layout whose input and output shapes fit.

        Raises
        ------
        Missing
            There is no such file.
        BadInput
            It is not an ONNX network, or its shapes fit no layout.
        """
        path = Path(onnx_path).expanduser()
        if not path.is_file():
            raise Missing(f"There is no policy file {path}.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a dozen unrelated exception types for a bad file
            line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise BadInput(f"The policy {path} is not an ONNX network that can be run: {line}") from None
        known = {d.name: d for d in known_descriptions()}
        if description is None:
            candidates = tuple(known.values())
        elif str(description) in known:
            candidates = (known[str(description)],)
        else:
            candidates = (Description.load(description),)
        found = [tuple(t.shape) for t in (*session.get_inputs(), *session.get_outputs())]
        single = len(session.get_inputs()) == len(session.get_outputs()) == 1
        for candidate in candidates:
            if single and _fits(found[0], candidate.input) and _fits(found[1], candidate.output):
                return cls(session, candidate)
        has = f"inputs {_shapes(session.get_inputs())} and outputs {_shapes(session.get_outputs())}"
        needed = " or ".join(f"input {list(c.input)} and output {list(c.output)} ({c.name})" for c in candidates)
        raise BadInput(f"The policy {path} has {has}, but {needed} is needed.")

    @property
    def name(self) -> str:
        """The layout's name."""
        return self.description.name

    @property
    def kp(self) -> np.ndarray:
        """(29,) N m/rad, motor order."""
        return self._to_motors(self.description.kp)

    @property
    def kd(self) -> np.ndarray:
        """(29,) N m s/rad, motor order."""
        return self._to_motors(self.description.kd)

    @property
    def effort_limits(self) -> np.ndarray:
        """(29,) N m that it was trained with, motor order."""
        return self._to_motors(self.description.effort_limits)

    @property
    def inference_ms(self) -> float:
        """Mean time of an inference, ms; 0 before the first."""
        return 1e3 * self._seconds / max(self._count, 1)

    def reset(self) -> None:
        """Forget the history, as at the start of an episode."""
        self.last_action = np.zeros(NUM_JOINTS)
        self._seconds, self._count = 0.0, 0
        self._history = [self._empty_history(part) for part in self.description.observation]

    def _empty_history(self, part: dict[str, Any]) -> deque[np.ndarray] | None:
        if "history" not in part:
            return None
        steps = int(part["history"])
        return deque([np.zeros(self.description.width(part["groups"]))] * steps, maxlen=steps)

    def observe(self, state: RobotState, reference: Frame) -> np.ndarray:
        """Build the observation, (N,) float32, and remember this step in the history."""
        values = {
            name: np.concatenate([scale * term(state, reference, self) for term, scale in terms])
            for name, terms in self._terms.items()
        }
        parts = []
        for part, history in zip(self.description.observation, self._history, strict=True):
            step = np.concatenate([values[group] for group in part["groups"]])
            if history is None:
                parts.append(step)
            else:
                parts.extend(history)
                history.append(step)
        return np.concatenate(parts).astype(np.float32)

    def act(self, state: RobotState, reference: Frame) -> np.ndarray:
        """Run one step of the policy: target joint positions, (29,) rad, motor order."""
        observation = self.observe(state, reference).reshape(self.description.input)
        start = time.perf_counter()
        action = self._session.run([self._output], {self._input: observation})[0].reshape(NUM_JOINTS)
        self._seconds += time.perf_counter() - start
        self._count += 1
        self.last_action = action.astype(float)
        d = self.description
        clipped = np.clip(self.last_action, -d.action_clip, d.action_clip)
        return self._to_motors(d.default_pose + d.action_scale * clipped)

    def _to_motors(self, values: np.ndarray) -> np.ndarray:
        motors = np.empty(NUM_JOINTS)
        motors[self.order] = values
        return motors

    def _compile(self, term: dict[str, Any]) -> tuple[_Term, np.ndarray]:
        width, function = _TERMS[term["term"]]
        scale = np.full(width, float(term.get("scale", 1.0)))
        for joint in term.get("zero", ()):
            scale[self.description.joint_order.index(joint)] = 0.0
        return function, scale


def _fits(found: tuple[int | str | None, ...], needed: tuple[int, ...]) -> bool:
    """Whether a network's shape (names and None: any size) takes the needed one."""
    return len(found) == len(needed) and all(
        not isinstance(a, int) or a == b for a, b in zip(found, needed, strict=True)
    )


def _shapes(tensors: list[onnxruntime.NodeArg]) -> str:
    return ", ".join(str(list(t.shape)) for t in tensors)
