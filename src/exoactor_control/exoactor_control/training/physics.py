"""The physics of many robots at once: MuJoCo's threaded rollouts on the CPU, MuJoCo Warp on a GPU."""

from __future__ import annotations

from typing import Protocol

import mujoco
import mujoco.rollout
import numpy as np

from exoactor_core.errors import Missing
from exoactor_core.optional import optional_import

_CONTROL = int(mujoco.mjtState.mjSTATE_CTRL) | int(mujoco.mjtState.mjSTATE_XFRC_APPLIED)
_VARIED = (
    "body_mass",
    "body_inertia",
    "body_ipos",
    "body_subtreemass",
    "body_invweight0",
    "dof_invweight0",
    "actuator_gainprm",
    "actuator_biasprm",
    "actuator_forcerange",
    "geom_friction",
)
"""Fields of a model that vary between robots: those that `Robots` changes, and what mj_setConst derives from them."""
_CONTACTS, _CONSTRAINTS = 48, 384
"""Maximum per robot on a GPU. A contact takes four constraints; joint limits and friction take further ones."""


class Physics(Protocol):
    """N simulated robots; a state (nstate,) is time, qpos and qvel."""

    models: list[mujoco.MjModel]
    """Model of each robot; call `changed` after editing one."""

    def changed(self, i: int) -> None:
        """Note that a model was edited."""

    def simulate(self, state: np.ndarray, control: np.ndarray, force: np.ndarray) -> np.ndarray:
        """Return the states (N, K, nstate) after each of K steps.

        ``state`` (N, nstate) is the initial state of the robots, ``control`` (N, K, nu) drives their motors, ``force``
        (N, nbody, 6), N and N m in the world's frame, acts on their bodies throughout.
        """
        ...


class ThreadedPhysics:
    """`Physics` on the CPU: MuJoCo's rollouts in so many threads."""

    def __init__(self, model: mujoco.MjModel, count: int, threads: int) -> None:
        self.models = [mujoco.MjModel.__copy__(model) for _ in range(count)]
        self._data = [mujoco.MjData(model) for _ in range(threads)]
        self._rollout = mujoco.rollout.Rollout(nthread=threads)

    def changed(self, i: int) -> None:
        """Rollouts read the models themselves."""

    def simulate(self, state: np.ndarray, control: np.ndarray, force: np.ndarray) -> np.ndarray:
        """See `Physics`."""
        count, steps, _ = control.shape
        held = np.broadcast_to(force.reshape(count, 1, -1), (count, steps, force[0].size))
        states, _ = self._rollout.rollout(
            self.models, self._data, state, np.concatenate([control, held], axis=2), control_spec=_CONTROL
        )
        return states


class WarpPhysics:
    """`Physics` by MuJoCo Warp, in single precision, ``steps`` at a time, on a ``device`` of Warp.

    The device is "cuda"; "cpu" is for tests.

    Raises
    ------
    Missing
        MuJoCo Warp is not installed, or there is no GPU.
    """

    def __init__(self, model: mujoco.MjModel, count: int, steps: int, device: str = "cuda") -> None:
        warp, mujoco_warp = (optional_import(name, "Physics on a GPU") for name in ("warp", "mujoco_warp"))
        if device == "cuda" and not warp.is_cuda_available():
            raise Missing("Warp finds no NVIDIA GPU: train with --device cpu.")
        self.models = [mujoco.MjModel.__copy__(model) for _ in range(count)]
        self._warp, self._step, self._device = warp, mujoco_warp.step, device
        self._timestep, self._begin = model.opt.timestep, np.r_[model.qpos0, np.zeros(model.nv)]
        self._values = {name: np.stack([getattr(model, name)] * count).astype(np.float32) for name in _VARIED}
        with warp.ScopedDevice(device):
            self._model = mujoco_warp.put_model(model)
            self._data = mujoco_warp.make_data(model, nworld=count, nconmax=_CONTACTS, njmax=_CONSTRAINTS)
            for name, values in self._values.items():
                nominal = getattr(self._model, name)
                if values.ndim > nominal.ndim:  # of vectors; those of actuators are shorter than MuJoCo's
                    values = self._values[name] = values[..., : nominal.dtype._length_]
                setattr(self._model, name, warp.array(values, dtype=nominal.dtype))
            self._controls = warp.zeros((steps, count, model.nu), dtype=float)
            self._qpos = warp.zeros((steps, count, model.nq), dtype=float)
            self._qvel = warp.zeros((steps, count, model.nv), dtype=float)
            self._advance()  # loads the kernels, which is not possible during a capture
            self._graph = None
            if device == "cuda":
                with warp.ScopedCapture() as capture:
                    self._advance()
                self._graph = capture.graph
        self._stale = False

    def changed(self, i: int) -> None:
        """Copy the parameters of robot i's model before the next step."""
        for name, values in self._values.items():
            values[i] = getattr(self.models[i], name)[..., : values.shape[-1]]
        self._stale = True

    def simulate(self, state: np.ndarray, control: np.ndarray, force: np.ndarray) -> np.ndarray:
        """See `Physics`."""
        warp, data = self._warp, self._data
        with warp.ScopedDevice(self._device):
            if self._stale:
                for name, values in self._values.items():
                    getattr(self._model, name).assign(values)
                self._stale = False
            data.qpos.assign(state[:, 1 : 1 + data.qpos.shape[1]].astype(np.float32))
            data.qvel.assign(state[:, 1 + data.qpos.shape[1] :].astype(np.float32))
            data.xfrc_applied.assign(force.astype(np.float32))
            data.qacc_warmstart.zero_()
            self._controls.assign(np.ascontiguousarray(control.swapaxes(0, 1), dtype=np.float32))
            if self._graph is None:
                self._advance()
            else:
                warp.capture_launch(self._graph)
            qpos, qvel = self._qpos.numpy(), self._qvel.numpy()
        time = state[:, 0] + self._timestep * np.arange(1, len(qpos) + 1)[:, None]
        states = np.concatenate([time[..., None], qpos, qvel], axis=2, dtype=float).swapaxes(0, 1)
        # As in MuJoCo: unstable robots are reset
        states[~np.isfinite(states).all(axis=(1, 2)), :, 1:] = self._begin
        return states

    def _advance(self) -> None:
        warp, data = self._warp, self._data
        for k in range(len(self._controls)):
            warp.copy(data.ctrl, self._controls[k])
            self._step(self._model, data)
            warp.copy(self._qpos[k], data.qpos)
            warp.copy(self._qvel[k], data.qvel)
