"""Whole-trajectory inverse kinematics: Levenberg-Marquardt over all frames at once.

All frames are solved together, with second differences of every coordinate as part of the problem: so the first frame
is no different from the others, contacts stay put, and no filter afterwards undoes them. The normal equations are
banded. Joint limits are held by projection: coordinates that press against a limit leave the problem for that step.
Joint speeds and accelerations beyond their limits cost as much as the excess squared; what is left of it is cut off by
`exoactor_retarget.limits`.

A solution at 12.5 frames a second comes first, and begins from the posture in closed form; what follows at the full
rate has little left to do. Long motions are solved in windows that begin with the last frames of the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import lapack
from scipy.ndimage import maximum_filter1d

from exoactor_retarget import terms
from exoactor_retarget.collision import distances, near_pairs
from exoactor_retarget.human import smooth_between, turns_between
from exoactor_retarget.initial import initial_state
from exoactor_retarget.kinematics import ROOT, State, log
from exoactor_retarget.limits import limited
from exoactor_retarget.model import Model
from exoactor_retarget.targets import Targets

_COARSE = 12.5  # frames a second
_SMOOTH_FPS = 50.0  # frame rate that the weights of the smoothing are given for
_WINDOW, _AHEAD = 20.0, 2.0  # s: long motions are solved in windows, which overlap by so much
_SETTLED = 0.12  # s: neighbourhood of a frame that still changes
_STILL = 2e-3  # m or rad: a smaller step is no change
_LOOK = 0.08  # m: pairs of parts that come nearer to each other than this are watched


@dataclass(frozen=True)
class _Inputs:
    """What the terms need, for some frames."""

    targets: Targets
    stand: terms.Support
    guess: np.ndarray

    def __getitem__(self, frames: np.ndarray) -> _Inputs:
        return _Inputs(self.targets[frames], self.stand[frames], self.guess[frames])


@dataclass(frozen=True)
class _Problem:
    """Cost of each frame (T,), and the normal equations of each block, without what joins frames."""

    cost: np.ndarray
    hessians: list[np.ndarray]
    gradients: list[np.ndarray]

    def __getitem__(self, frames: np.ndarray) -> _Problem:
        return _Problem(self.cost[frames], [h[frames] for h in self.hessians], [g[frames] for g in self.gradients])

    def where(self, taken: np.ndarray, other: _Problem) -> _Problem:
        """Take this problem in frames where ``taken`` (T,) is true, the other one elsewhere."""
        if taken.all():
            return self
        pairs = zip(self.hessians + self.gradients, other.hessians + other.gradients, strict=True)
        for mine, its in ((self.cost, other.cost), *pairs):
            mine[~taken] = its[~taken]
        return self


@dataclass(frozen=True)
class _Between:
    """Terms that join frames, by coordinate: weights and residuals of first and second differences."""

    speed_weight: np.ndarray
    """(T - 1, N)."""
    speed: np.ndarray
    smooth_weight: np.ndarray
    """(T - 2, N)."""
    smooth: np.ndarray

    @property
    def cost(self) -> np.ndarray:
        """Cost of each frame (T,)."""
        out = np.zeros(len(self.speed) + 1)
        out[1:] += np.einsum("tn,tn,tn->t", self.speed_weight, self.speed, self.speed)
        out[1:-1] += np.einsum("tn,tn,tn->t", self.smooth_weight, self.smooth, self.smooth)
        return out


def _portion(report: Callable[[float], None], first: float, last: float, share: float) -> None:
    report(first + share * (last - first))


def _beyond(values: np.ndarray, most: np.ndarray) -> np.ndarray:
    """How far values (T, J) lie beyond +-``most`` (J,)."""
    return values - np.clip(values, -most, most)


def between_frames(idx: np.ndarray, new: np.ndarray, state: State, model: Model) -> State:
    """The state at frames ``new`` from that at frames ``idx``, by cubic interpolation."""
    joint = np.clip(smooth_between(idx, new, state.joint_pos), model.lower, model.upper)
    return State(smooth_between(idx, new, state.root_pos), turns_between(idx, new, state.root_rot), joint)


class Solver:
    """Inverse kinematics of a whole motion for given targets."""

    def __init__(self, mapping: dict[str, Any], model: Model):
        self.mapping, self.model = mapping, model
        self.blocks = (model.body_block, model.arms_block)
        smooth, stay = mapping["smoothing"], mapping["weights"]["posture"]
        waist, arms = np.array(model.waist, dtype=int), model.arms_block - ROOT
        wrists = np.array([j for wrist in model.wrist for j in wrist], dtype=int)
        self.smooth, self.posture = np.full(model.size, float(smooth["legs"])), np.full(model.size - ROOT, stay["legs"])
        self.smooth[:3], self.smooth[3:ROOT] = smooth["root_position"], smooth["root_rotation"]
        self.smooth[ROOT + waist], self.smooth[ROOT + arms] = smooth["waist"], smooth["arms"]
        self.posture[waist], self.posture[arms], self.posture[wrists] = stay["waist"], stay["arms"], stay["wrists"]

    def solve(self, targets: Targets, iterations: int, report: Callable[[float], None] = lambda share: None) -> State:
        """Fit a motion, window by window; ``report`` is told the share done."""
        total, window, ahead = len(targets), round(_WINDOW * targets.fps), round(_AHEAD * targets.fps)
        state: State | None = None
        at = 0
        while at < total:
            end = total if total - at <= window + ahead else at + window + ahead
            known = None if state is None else state[-2:]
            first = at - (0 if known is None else len(known))
            found = self.fit(targets[first:end], iterations, known, partial(_portion, report, at / total, end / total))
            keep = end if end == total else end - ahead
            found = found[at - first : keep - first]
            state = found if state is None else state.join(found)
            at = keep
        return state

    def fit(
        self,
        targets: Targets,
        iterations: int,
        known: State | None = None,
        report: Callable[[float], None] = lambda share: None,
    ) -> State:
        """Fit one window, coarsely and then finely; ``known`` holds its first frames where they are given and stay."""
        t, fixed = len(targets), 0 if known is None else len(known)
        stride = max(1, round(targets.fps / _COARSE))
        coarse = np.unique(np.r_[np.arange(0, t, stride), t - 1])
        state = initial_state(targets[coarse], self.model, None if known is None else known.joint_pos[0])
        if known is not None:
            state = known[:1].join(state[1:])
        first, second = (partial(_portion, report, a, a + 0.5) for a in (0.0, 0.5))
        state = self.minimise(state, targets[coarse], iterations, min(fixed, 1), stride, first)
        if len(coarse) < t:
            state = between_frames(coarse, np.arange(t), state, self.model)
            if known is not None:
                state = known.join(state[fixed:])
            state = self.minimise(state, targets, iterations, fixed, 1, second)
        return limited(state, self.model, targets.fps, fixed)

    def minimise(
        self,
        state: State,
        targets: Targets,
        iterations: int,
        fixed: int = 0,
        stride: int = 1,
        report: Callable[[float], None] = lambda share: None,
    ) -> State:
        """Levenberg-Marquardt, until nothing changes or ``iterations`` steps are done; the first ``fixed`` frames stay.

        Stretches of time that have settled are left alone. The others take or reject their steps each by itself, and
        the damping is a frame's own, so that one hard moment does not slow the rest.
        """
        fps, frames = targets.fps / stride, np.arange(len(state))
        inputs = _Inputs(targets, terms.support(targets, self.mapping), state.joint_pos)
        pairs = self._watched(state, fps)
        margin = max(3, round(_SETTLED * fps))
        here, damping = state, np.full(len(state), 1e-4)
        problem = self._linearise(here, inputs, pairs)
        for iteration in range(iterations):
            report(iteration / iterations)
            stretch = np.r_[0, np.cumsum(np.diff(frames) > 1)]
            joins = self._between(here, stretch, fps)
            step = self._step(problem, joins, here, damping, self._held(frames, fixed, len(state)))
            new = here.moved(step, self.model.lower, self.model.upper)
            trial = self._linearise(new, inputs, pairs)
            before, after = problem.cost + joins.cost, trial.cost + self._between(new, stretch, fps).cost
            sums = [np.bincount(stretch, cost) for cost in (before, after)]
            taken, worse = (sums[1] <= sums[0])[stretch], after > before
            moving = np.where(taken, np.abs(step).max(axis=1) > _STILL, worse)
            moving &= (np.abs(sums[0] - sums[1]) > 1e-3 * sums[0])[stretch]
            damping *= np.where(worse, np.where(taken, 3.0, 30.0), np.where(taken, 0.3, 1.0))
            damping = np.clip(damping, 1e-6, 1e4)
            here, problem = new.where(taken, here), trial.where(taken, problem)
            state = state.replaced(frames, here)
            active = np.zeros(len(state))
            active[frames[moving]] = 1.0
            keep = maximum_filter1d(active, 2 * margin + 1)[frames] > 0
            if not keep.any():
                break
            if not keep.all():
                frames, here, problem, inputs, damping = (x[keep] for x in (frames, here, problem, inputs, damping))
        return state

    @staticmethod
    def _held(frames: np.ndarray, fixed: int, total: int) -> np.ndarray:
        """Frames that stay: the first ``fixed``, and two at the ends of stretches, which join the settled ones."""
        out = frames < fixed
        breaks = np.flatnonzero(np.diff(frames) > 1)
        for ends in (breaks, breaks - 1, breaks + 1, breaks + 2):
            out[np.clip(ends, 0, len(frames) - 1)] = True
        if frames[0] > 0:
            out[:2] = True
        if frames[-1] < total - 1:
            out[-2:] = True
        return out

    def _watched(self, state: State, fps: float) -> np.ndarray:
        """Pairs of capsules that come near each other."""
        sampled = state[:: max(1, round(fps / _COARSE))]
        return near_pairs(self.model.description, self.model.kinematics.poses(sampled), _LOOK)

    def _body_terms(self, poses: Any, targets: Targets, stand: terms.Support) -> list[terms.Term]:
        common = (self.model, poses, targets, self.mapping["weights"])
        found = [terms.pelvis_position(*common), terms.pelvis_rotation(*common), terms.torso_rotation(*common)]
        for k in range(2):
            found += [terms.foot_position(*common, k), terms.foot_rotation(*common, k), *terms.above_floor(*common, k)]
        return [*found, *terms.balance(self.model, poses, stand)]

    def _arm_terms(self, poses: Any, targets: Targets) -> list[terms.Term]:
        common = (self.model, poses, targets, self.mapping["weights"])
        return [f(*common, k) for k in range(2) for f in (terms.upper_arm, terms.forearm, terms.hand_rotation)]

    def _linearise(self, state: State, inputs: _Inputs, pairs: np.ndarray) -> _Problem:
        model, targets = self.model, inputs.targets
        poses = model.kinematics.poses(state)
        away = inputs.guess - state.joint_pos
        cost = away**2 @ self.posture
        found = [self._body_terms(poses, targets, inputs.stand), self._arm_terms(poses, targets)]
        if len(pairs):
            near = distances(model.description, poses, pairs)
            weight, clearance = self.mapping["weights"]["clearance"], self.mapping["limits"]["clearance"]
            for block, its in zip(self.blocks, found, strict=True):
                its += terms.apart(model, poses, near, weight, clearance, block)
        hessians, gradients = [], []
        for block, its in zip(self.blocks, found, strict=True):
            root = np.concatenate([np.broadcast_to(np.sqrt(i.weight), i.residual.shape) for i in its], axis=1)
            residual = np.concatenate([i.residual for i in its], axis=1) * root
            jacobian = np.concatenate([i.jacobian for i in its], axis=1) * root[:, :, None]
            cost += np.sum(residual**2, axis=1)
            across = jacobian.transpose(0, 2, 1)
            hessian, gradient = across @ jacobian, (across @ residual[:, :, None])[:, :, 0]
            joints = block[block >= ROOT] - ROOT
            first = len(block) - len(joints)
            gradient[:, first:] += self.posture[joints] * away[:, joints]  # points along the step to take
            hessian += np.diag(np.r_[np.zeros(first), self.posture[joints]] + 1e-3)
            hessians.append(hessian)
            gradients.append(gradient)
        return _Problem(cost, hessians, gradients)

    def _between(self, state: State, stretch: np.ndarray, fps: float) -> _Between:
        """Smoothness, and joint speeds and accelerations beyond their limits; none across stretches (T,) of time."""
        t, model, weight = len(state), self.model, self.mapping["weights"]["limits"]
        root = np.empty((max(t - 1, 0), ROOT))
        root[:, :3] = np.diff(state.root_pos, axis=0)
        root[:, 3:] = log(state.root_rot[1:] @ state.root_rot[:-1].transpose(0, 2, 1))
        speed = np.concatenate([root, np.diff(state.joint_pos, axis=0)], axis=1)
        smooth = np.diff(speed, axis=0)
        smooth_weight = np.tile(self.smooth * (fps / _SMOOTH_FPS) ** 4, (len(smooth), 1))
        # A limit's cost w (x - x_max)^2 joins the smoothing s x^2 as one weight s + w and one residual.
        over = _beyond(smooth[:, ROOT:], model.acceleration / fps**2)
        own = smooth_weight[:, ROOT:]
        both = own + weight * (over != 0)
        smooth[:, ROOT:] = (own * smooth[:, ROOT:] + weight * over) / both
        smooth_weight[:, ROOT:] = both
        over = np.zeros_like(speed)
        over[:, ROOT:] = _beyond(speed[:, ROOT:], model.speed / fps)
        speed_weight = weight * (over != 0)
        speed_weight[np.diff(stretch) > 0] = 0.0
        smooth_weight[stretch[2:] != stretch[:-2]] = 0.0
        return _Between(speed_weight, over, smooth_weight, smooth)

    def _step(
        self, problem: _Problem, joins: _Between, state: State, damping: np.ndarray, held: np.ndarray
    ) -> np.ndarray:
        step = np.zeros((len(state), self.model.size))
        for block, hessian, gradient in zip(self.blocks, problem.hessians, problem.gradients, strict=True):
            step[:, block] = self._banded(hessian, gradient, joins, block, state, damping, held)
        longest = np.abs(step[:, 3:]).max(axis=1, initial=0.0)
        return step * np.minimum(1.0, 0.6 / np.maximum(longest, 1e-9))[:, None]

    def _banded(
        self,
        hessian: np.ndarray,
        gradient: np.ndarray,
        between: _Between,
        block: np.ndarray,
        state: State,
        damping: np.ndarray,
        frozen: np.ndarray,
    ) -> np.ndarray:
        """Solve for the step, with coordinates at their limits and frozen frames held."""
        t, n = gradient.shape
        gradient = gradient.copy()
        # Lower bands, one row per unknown: itself, those after it in its frame, then in the next two frames.
        bands = np.zeros((t, n, 2 * n + 1))
        for k in range(n):
            bands[:, k, : n - k] = hessian[:, k, k:]
        own = bands[:, :, 0]
        own += damping[:, None] * (own + 1.0)
        if t > 1:
            weight = between.speed_weight[:, block]
            pull = weight * between.speed[:, block]
            own[:-1] += weight
            own[1:] += weight
            bands[:-1, :, n] -= weight
            gradient[:-1] += pull
            gradient[1:] -= pull
        if t > 2:
            weight = between.smooth_weight[:, block]
            pull = weight * between.smooth[:, block]
            own[:-2] += weight
            own[1:-1] += 4 * weight
            own[2:] += weight
            bands[:-2, :, n] -= 2 * weight
            bands[1:-1, :, n] -= 2 * weight
            bands[:-2, :, 2 * n] += weight
            gradient[:-2] -= pull
            gradient[1:-1] += 2 * pull
            gradient[2:] -= pull
        held = np.zeros((t, n), dtype=bool)
        joints = block[block >= ROOT] - ROOT
        value, pushed = state.joint_pos[:, joints], gradient[:, n - len(joints) :]
        held[:, n - len(joints) :] = ((value <= self.model.lower[joints] + 1e-9) & (pushed < 0)) | (
            (value >= self.model.upper[joints] - 1e-9) & (pushed > 0)
        )
        held[frozen] = True
        own += 1e9 * held
        gradient[held] = 0.0
        extra = 0.0
        for _ in range(8):
            _, step, failed = lapack.dpbsv(bands.reshape(t * n, 2 * n + 1).T, gradient.ravel(), lower=1)
            if failed == 0:
                return step.reshape(t, n)
            extra = max(10 * extra, 1e-2)
            own += extra
        return np.zeros_like(gradient)
