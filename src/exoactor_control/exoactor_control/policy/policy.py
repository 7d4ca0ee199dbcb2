"""Policies: a network, and the spec of its observation and its output."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exoactor_control.policy import formats as readers
from exoactor_control.policy.networks import Network, Shape, load_network
from exoactor_control.policy.observations import HUMAN_TERMS, Ahead, Observation
from exoactor_control.policy.spec import FOLDER, SHIPPED, PolicySpec
from exoactor_control.reference.trajectory import STANDING_FRAME, Frame
from exoactor_core.errors import BadInput, Missing, Refused
from exoactor_core.motion import JOINT_NAMES, RobotMotion
from exoactor_core.robot import EFFORT_LIMITS
from exoactor_core.robot_state import RobotState

if TYPE_CHECKING:
    from exoactor_control.reference.trajectory import Reference

# Gains of joints that no policy moves: stiff enough to carry the limbs, soft enough for a robot on a band. Legs, waist,
# arms.
_LEG_KP, _LEG_KD = (100.0, 100.0, 100.0, 150.0, 40.0, 40.0), (2.0, 2.0, 2.0, 4.0, 2.0, 2.0)
PD_KP = np.array([*_LEG_KP, *_LEG_KP, *[150.0] * 3, *([40.0] * 4 + [20.0] * 3) * 2])
PD_KD = np.array([*_LEG_KD, *_LEG_KD, *[4.0] * 3, *([2.0] * 4 + [1.0] * 3) * 2])


class Policy:
    """A policy that runs on the CPU in one thread. Create it with `load`."""

    def __init__(self, network: Network, spec: PolicySpec, encoder: Network | None = None) -> None:
        d = spec
        self.spec = d
        self.network, self._encoder = network, encoder
        self.alternative: Policy | None = None
        """As `PolicySpec.alternative`."""
        self.default_pose = d.default_pose
        self.order = np.array([JOINT_NAMES.index(name) for name in d.joint_order])
        """(n,) motor index of each of the policy's joints."""
        self._observation = Observation(d.groups, d.observation, d.joint_order)
        self._inputs = {name: Observation(d.groups, parts, d.joint_order) for name, parts in d.inputs.items()}
        self._encoder_observation = (
            None if d.encoder is None else Observation(d.groups, d.encoder.observation, d.joint_order)
        )
        self.reset()

    @property
    def _observations(self) -> list[Observation]:
        every = [self._observation, *self._inputs.values(), self._encoder_observation]
        return [observation for observation in every if observation is not None]

    @classmethod
    def load(cls, onnx_path: str | Path, spec: str | Path | None = None) -> Policy:
        """Load a network (ONNX, or TorchScript where torch is installed) with its spec.

        The spec is a YAML file (this project's, Unitree RL Lab's deploy.yaml, or SONIC's observation configuration), or
        the name of a known layout; None: the file beside the network, or the network's own metadata, or else the known
        layout whose input and output shapes fit.

        Raises
        ------
        Missing
            There is no such file.
        BadInput
            It is not a network, its spec is wrong, or its shapes do not fit it.
        """
        network = load_network(onnx_path)
        state = _recurrent_state(network)
        candidates = [replace(d, feedback=state | d.feedback) for d in readers.specs(network, spec)]
        for d in candidates:
            if _takes(network, d):
                policy = cls(network, d, _load_encoder(network, d))
                policy.alternative = _load_alternative(policy)
                return policy
        needed = " or ".join(
            f"input {list(d.input)}{_parts(d) if len(candidates) == 1 else ''} and output {list(d.output)} ({d.name})"
            for d in candidates
        )
        more = list(network.inputs)[1:]
        hint = f": a spec must say what {', '.join(more)} take (inputs, feedback, step_input)" if more else ""
        raise BadInput(f"The policy {network.path} has {_shapes(network)}, but {needed} is needed{hint}.")

    @property
    def name(self) -> str:
        """The layout's name."""
        return self.spec.name

    @property
    def files(self) -> list[Path]:
        """Files of the network, of its encoder if it has one, and of its alternative."""
        own = [network.path for network in (self.network, self._encoder) if network is not None]
        return own if self.alternative is None else [*own, *self.alternative.files]

    @property
    def kp(self) -> np.ndarray:
        """(29,) N m/rad, motor order."""
        return self._to_motors(self.spec.kp, PD_KP)

    @property
    def kd(self) -> np.ndarray:
        """(29,) N m s/rad, motor order."""
        return self._to_motors(self.spec.kd, PD_KD)

    @property
    def effort_limits(self) -> np.ndarray:
        """(29,) N m, effort limits in training, motor order."""
        return self._to_motors(self.spec.effort_limits, EFFORT_LIMITS)

    @cached_property
    def motion(self) -> RobotMotion | None:
        """The motion contained in the file, if it was made for one motion only (BeyondMimic)."""
        return readers.beyond_mimic.motion(self.network) if readers.beyond_mimic.holds_motion(self.network) else None

    @property
    def needs_human(self) -> bool:
        """Whether it follows the human motion itself, not the robot's."""
        encoder = self.spec.encoder
        if self._encoder_observation is None or encoder is None:
            return any(observation.terms() & HUMAN_TERMS for observation in self._observations)
        return bool(self._encoder_observation.terms(encoder.mode) & HUMAN_TERMS)

    def check(self, reference: Reference) -> None:
        """Raise `Refused` if a reference lacks something that the policy needs."""
        if self.needs_human and reference.human is None:
            raise Refused(f"The policy {self.name} follows the person's motion itself, and none came with this motion.")

    @property
    def inference_ms(self) -> float:
        """Mean time of an inference, ms; 0 before the first."""
        return 1e3 * self._seconds / max(self._count, 1)

    def reset(self) -> None:
        """Clear the history, as at the start of an episode."""
        self.last_action = np.zeros(len(self.order))
        self.mode = 0
        self.token = np.zeros(0 if self.spec.encoder is None else self.spec.encoder.output[-1])
        self.present = STANDING_FRAME
        self._seconds, self._count = 0.0, 0
        self._fed_back: dict[str, np.ndarray] = {}
        self._steps = 0  # since the feedback began
        for observation in self._observations:
            observation.reset()

    def encode(self, state: RobotState, frame: Frame, ahead: Ahead | None = None) -> np.ndarray:
        """Build the encoder's observation, (M,) float32."""
        with_human = frame.in_motion and (frame.human is not None or not self.needs_human)
        encoder = self.spec.encoder
        if encoder is None or self._encoder_observation is None:
            raise ValueError(f"the policy {self.name} has no encoder")
        self.present, self.mode = frame, encoder.mode if with_human else 0
        return self._encoder_observation(state, _from(frame, ahead), self)

    def observe(self, state: RobotState, frame: Frame, ahead: Ahead | None = None) -> np.ndarray:
        """Build the observation, (N,) float32, and add this step to the history."""
        self.present = frame
        return self._observation(state, _from(frame, ahead), self)

    def observe_inputs(self, state: RobotState, frame: Frame, ahead: Ahead | None = None) -> dict[str, np.ndarray]:
        """Build the further inputs, by name, and add this step to their histories."""
        self.present, d = frame, self.spec
        frames = _from(frame, ahead)
        if d.max_steps and self._steps >= d.max_steps:
            self._fed_back, self._steps = {}, 0
        count = {d.step_input: np.array(self._steps)} if d.step_input else {}
        return {name: observe(state, frames, self) for name, observe in self._inputs.items()} | self._fed_back | count

    def act(self, state: RobotState, frame: Frame, ahead: Ahead | None = None) -> np.ndarray:
        """Run one step: target joint positions, (29,) rad, motor order.

        ``frame`` is the present reference, with its heading in the IMU's world; ``ahead`` returns the frame so many
        steps later, for policies that look ahead.
        """
        if self._encoder is not None:
            self.token = self._run(self._encoder, self.encode(state, frame, ahead))
        d = self.spec
        observation = self.observe(state, frame, ahead)
        if len(self.network.inputs) > 1 and (d.inputs or d.feedback or d.step_input):
            self.last_action = self._run_with_inputs(observation, self.observe_inputs(state, frame, ahead))
        else:
            self.last_action = self._run(self.network, observation)
        self._count += 1
        clipped = np.clip(self.last_action, -d.action_clip, d.action_clip)
        return self._to_motors(d.default_pose + d.action_scale * clipped, frame.joint_pos)

    def _run(self, network: Network, observation: np.ndarray) -> np.ndarray:
        start = time.perf_counter()
        output = network.run(observation)[0]
        self._seconds += time.perf_counter() - start
        return output.reshape(-1).astype(float)

    def _run_with_inputs(self, observation: np.ndarray, inputs: dict[str, np.ndarray]) -> np.ndarray:
        d = self.spec
        action = d.action_output or next(iter(self.network.outputs))
        start = time.perf_counter()
        output, *kept = self.network.run(observation, inputs, [action, *d.feedback.values()])
        self._seconds += time.perf_counter() - start
        self._fed_back, self._steps = dict(zip(d.feedback, kept, strict=True)), self._steps + 1
        return output.reshape(-1).astype(float)

    def _to_motors(self, values: np.ndarray, others: np.ndarray) -> np.ndarray:
        motors = np.array(others, dtype=float)
        motors[self.order] = values
        return motors


def load_policy(name: str, spec: str = "") -> Policy | None:
    """Load a policy by the name in options, see `policy_file`; "pd": None, plain joint PD. Raises as `Policy.load`."""
    if name == "pd":
        return None
    path = policy_file(name)
    if not path.is_file():
        raise Missing(f"There is no policy file '{name}': give a file, '{SHIPPED}' or 'pd'.")
    return Policy.load(path, spec or None)


def policy_file(name: str) -> Path:
    """Path of the policy with a user-visible name: the one that comes with this package, or a file."""
    return FOLDER / f"{SHIPPED}.onnx" if name == SHIPPED else Path(name).expanduser()


def _from(frame: Frame, ahead: Ahead | None) -> Ahead:
    """Return the frames ahead, each computed once, where the present one is ``frame``."""

    @cache
    def at(steps: int) -> Frame:
        if steps == 0:
            return frame
        if ahead is None:
            raise ValueError("this policy looks ahead in the reference: it needs the frames ahead")
        return ahead(steps)

    return at


def _load_encoder(network: Network, d: PolicySpec) -> Network | None:
    if d.encoder is None:
        return None
    path = network.path.parent / d.encoder.file
    if not path.is_file():
        raise Missing(f"The policy {network.path} needs its encoder, but there is no file {path}.")
    encoder = load_network(path)
    if not (
        _fits(next(iter(encoder.inputs.values())), d.encoder.input)
        and _fits(next(iter(encoder.outputs.values())), d.encoder.output)
    ):
        terms = Observation(d.groups, d.encoder.observation, d.joint_order)
        needed = f"input {list(d.encoder.input)} ({terms}) and output {list(d.encoder.output)} ({d.name})"
        raise BadInput(f"The encoder {path} has {_shapes(encoder)}, but {needed} is needed.")
    return encoder


def _load_alternative(policy: Policy) -> Policy | None:
    if not policy.spec.alternative:
        return None
    path = policy.network.path.with_name(policy.spec.alternative)
    if not path.is_file():
        raise Missing(f"The policy {policy.network.path} needs its alternative, but there is no file {path}.")
    alternative = Policy.load(path)
    for name in ("kp", "kd", "effort_limits"):
        if not np.array_equal(getattr(policy, name), getattr(alternative, name)):
            raise BadInput(f"The policy {policy.network.path} and its alternative {alternative.name} differ in {name}.")
    return alternative


def _recurrent_state(network: Network) -> dict[str, str]:
    """Inputs and outputs of a recurrent network's state, as rsl_rl's exporter names them (h_in, h_out; c_in, c_out)."""
    names = {name: f"{name.removesuffix('_in')}_out" for name in network.inputs if name.endswith("_in")}
    return {name: output for name, output in names.items() if output in network.outputs}


def _takes(network: Network, d: PolicySpec) -> bool:
    """Whether a network's inputs and outputs match a spec."""
    if not network.inputs:  # the file does not say: try
        try:
            return network.run(np.zeros(d.input[-1], dtype=np.float32))[0].size == d.output[-1]
        except RuntimeError:
            return False
    first, *others = network.inputs
    described = {*d.inputs, *d.feedback, d.step_input, "time_step"}
    if not set(others) <= described or not {*d.inputs, *d.feedback} <= set(others):
        return False
    if not {*d.feedback.values(), d.action_output} - {""} <= set(network.outputs):
        return False
    sizes = {name: Observation(d.groups, parts, d.joint_order).size for name, parts in d.inputs.items()}
    if not all(_count(network.inputs[name]) in (None, size) for name, size in sizes.items()):
        return False
    action = network.outputs[d.action_output or next(iter(network.outputs))]
    return _fits(network.inputs[first], d.input) and _fits(action, d.output)


def _count(shape: Shape) -> int | None:
    """Number of elements of an input, without the batch; None: any."""
    sizes = [n for n in shape[1:] if isinstance(n, int)]
    return int(np.prod(sizes)) if len(sizes) == len(shape) - 1 else None


def _fits(found: Shape, needed: tuple[int, ...]) -> bool:
    """Whether a network's shape (names and None: any size) accepts the needed one."""
    return len(found) == len(needed) and all(
        not isinstance(a, int) or a == b for a, b in zip(found, needed, strict=True)
    )


def _parts(d: PolicySpec) -> str:
    return f" ({Observation(d.groups, d.observation, d.joint_order)})"


def _shapes(network: Network) -> str:
    if not network.inputs:
        return "other shapes"
    (_, first), *others = network.inputs.items()
    inputs = ", ".join([str(list(first)), *(f"{name} {list(shape)}" for name, shape in others)])
    outputs = ", ".join(str(list(shape)) for shape in network.outputs.values())
    return f"inputs {inputs} and outputs {outputs}"
