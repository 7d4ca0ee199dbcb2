"""Whole-trajectory inverse kinematics: Levenberg-Marquardt over all frames at once.

All frames are solved together, with second differences of every coordinate as part of the problem: the first frame is
not special, contacts stay fixed, and no subsequent filter spoils them. The normal equations are banded. The linear
problem of each step finds by trial which joints would exceed a limit and which parts of the robot would collide
(`exoactor_retarget.linear`). Excess joint speeds and accelerations have a quadratic cost; the remainder is cut off by
`exoactor_retarget.limits`.

The body (root, legs, waist) and the arms are solved separately in each step, since arms follow directions in the world
and should not move the body. A first solution at 12.5 frames per second, starting from the closed-form posture, leaves
little to do at the full rate. Long motions are solved in windows that begin with the last frames of the previous one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from exoactor_retarget import terms
from exoactor_retarget.collision import CapsulePairs
from exoactor_retarget.human import smooth_between, turns_between
from exoactor_retarget.initial import initial_state
from exoactor_retarget.kinematics import ROOT, Poses, State, log
from exoactor_retarget.limits import limited
from exoactor_retarget.linear import Joins, Problem, solve
from exoactor_retarget.model import Model
from exoactor_retarget.surroundings import FLOOR, clearances, near_solids
from exoactor_retarget.targets import Targets

_COARSE_FPS = 12.5  # frames per second
_CHUNK = 128  # frames whose Jacobians are computed at a time, so that they fit into the processor's cache
_SMOOTH_FPS = 50.0  # frame rate to which the weights of the smoothing refer
_NEIGHBOURHOOD_SECONDS = 0.12  # s: neighbourhood of an active frame that also remains active
_WINDOW_STEPS = 4  # iterations for a moving window, which continues from the previous one
_COLLISION_FREE_STEPS = 1  # iterations in which the parts of the robot may pass through each other
_COARSE_STEP_TOLERANCE = 0.2  # m or rad: like _STEP_TOLERANCE, if a finer solution follows
_STEP_TOLERANCE = 0.03  # m or rad: a shorter step is the last one, since the next is about its square
_MIN_COST_DECREASE = 0.01  # share of a stretch's cost: a smaller decrease is not worth another iteration
_COST_TOLERANCE = 0.003  # cost of a frame: a smaller one, some mm per part, is not worth another iteration either
_MAX_STEP, _MAX_STEP_NEAR = 0.6, 0.2  # rad: of a step, and of one that brings parts close to each other
_TOO_NEAR = 0.25  # share of the clearance: parts closer to each other are still pushed apart
_WATCHED_DISTANCE = 0.08  # m: pairs of parts that come closer to each other are monitored
_WATCHED_CLEARANCE = 0.15  # m: parts that come closer to the floor or an object, likewise
_OBJECTS_FACTOR = 5.0  # factor of clearance, planted feet and balance with objects
_CROUCH_SMOOTHING = 1000.0  # factor of the root's smoothing when crouching for an object: clearances
# pull it to and fro between arms and knees
_OBJECT_CLEARANCE = 0.01  # m, minimum distance from objects
_TWIST_FACTOR = 30.0  # of the posture of joints that twist the straight arms of who crouches for what both hands hold
_SELF_CLEARANCE = 0.035  # m between arms, trunk and legs among objects: a reach is some cm off the motion
_HAND_HIP_CLEARANCE = 0.06  # m likewise between hands and hips: the thumb of a Dex3 hand sticks out of the hand's shape
_SOLE_CLEARANCE, _FLOOR_CLEARANCE = 0.001, 0.003  # m from the floor: swinging soles, other parts


@dataclass(frozen=True)
class _Inputs:
    """Inputs of the terms, for some frames."""

    targets: Targets
    stand: terms.Support
    guess: np.ndarray
    """(T, J) rad."""
    posture: np.ndarray
    """(T, J) weights of staying near the guess."""

    def __getitem__(self, frames: np.ndarray) -> _Inputs:
        return _Inputs(self.targets[frames], self.stand[frames], self.guess[frames], self.posture[frames])


@dataclass(frozen=True)
class _Watched:
    """Parts that come so close to something that they are monitored."""

    pairs: CapsulePairs
    """P of the robot."""
    apart: np.ndarray
    """(P,) m, minimum distance between them."""
    around: np.ndarray
    """(Q, 2) probes, and solids or the floor."""
    clearance: np.ndarray
    """(Q,) m, minimum distance from them."""
    weight: np.ndarray
    """(Q,)."""


@dataclass(frozen=True)
class _Point:
    """A point of the search: terms of each block, gaps between parts, and the cost of each frame (T,)."""

    away: np.ndarray
    posture: np.ndarray
    found: tuple[list[terms.Term], list[terms.Term]]
    gaps: terms.Gaps
    too_near: np.ndarray
    """(T,) bool: parts of the robot almost touch each other."""
    own: np.ndarray
    """(T,) cost of each frame on its own."""
    joins: Joins

    @property
    def cost(self) -> np.ndarray:
        """(T,)."""
        return self.own + self.joins.cost

    def within(self, frames: np.ndarray, joins: Joins) -> _Point:
        """Some of its frames, with new coupling terms."""
        body, arms = ([term[frames] for term in its] for its in self.found)
        gaps, too_near = self.gaps.within(frames), self.too_near[frames]
        away, posture = self.away[frames], self.posture[frames]
        return _Point(away, posture, (body, arms), gaps, too_near, self.own[frames], joins)


def _portion(report: Callable[[float], None], first: float, last: float, share: float) -> None:
    report(first + share * (last - first))


def _beyond(values: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Amount by which values (T, J) exceed +-``most`` (J,)."""
    return values - np.clip(values, -most, most)


def between_frames(idx: np.ndarray, new: np.ndarray, state: State, model: Model) -> State:
    """The state at frames ``new`` from that at frames ``idx``, by cubic interpolation."""
    joint = np.clip(smooth_between(idx, new, state.joint_pos), model.lower, model.upper)
    return State(smooth_between(idx, new, state.root_pos), turns_between(idx, new, state.root_rot), joint)


class Solver:
    """Inverse kinematics of a whole motion for given targets."""

    window, ahead = 20.0, 2.0
    """s: length of the windows of long motions, and their overlap with the next one."""

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
        self.twists = np.array([j for k in range(2) for j in (model.shoulder[k][-1], *model.wrist[k][:1])])
        """Joints along upper arms and forearms."""

    def solve(self, targets: Targets, iterations: int, report: Callable[[float], None] = lambda share: None) -> State:
        """Fit a motion, window by window; ``report`` is called with the share that is done."""
        total, window, ahead = len(targets), round(self.window * targets.fps), round(self.ahead * targets.fps)
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
        assert state is not None  # a motion has frames
        return state

    def fit(
        self,
        targets: Targets,
        iterations: int,
        known: State | None = None,
        report: Callable[[float], None] = lambda share: None,
    ) -> State:
        """Fit one window, coarsely and then finely; ``known`` are its first frames, if given, which are kept."""
        t, fixed = len(targets), 0 if known is None else len(known)
        if targets.solids is not None:  # objects lead hands far from the initial guess
            iterations *= 2
        stride = max(1, round(targets.fps / _COARSE_FPS))
        coarse = np.unique(np.r_[np.arange(0, t, stride), t - 1])
        state = initial_state(targets[coarse], self.model, None if known is None else known.joint_pos[0])
        if known is not None:
            state = known[:1].join(state[1:])
        first, second = (partial(_portion, report, a, a + 0.5) for a in (0.0, 0.5))
        stand = self._support(targets, state, coarse)
        inputs = self._inputs(targets[coarse], stand[coarse], state.joint_pos)
        slow = targets.fps / stride
        if targets.meeting.any():  # arms in the robot's proportions may have crossed: hands find their sides first
            state = self.minimise(state, inputs, slow, _COLLISION_FREE_STEPS, min(fixed, 1), free=True)
        state = self.minimise(state, inputs, slow, iterations, min(fixed, 1), first, still=_COARSE_STEP_TOLERANCE)
        if len(coarse) < t:
            state = between_frames(coarse, np.arange(t), state, self.model)
            if known is not None:
                state = known.join(state[fixed:])
            inputs = self._inputs(targets, stand, state.joint_pos)
            state = self.minimise(state, inputs, targets.fps, iterations, fixed, second)
        if targets.solids is not None:  # objects lead parts far: once more, with what has come close since
            state = self.minimise(state, inputs, targets.fps, iterations, fixed)
        return limited(state, self.model, targets.fps, fixed)

    def follow(self, targets: Targets, iterations: int, known: State | None, guess: State | None) -> State:
        """Fit a short window that begins with ``known`` frames, near a ``guess`` of the following ones."""
        fixed = 0 if known is None else len(known)
        begin = None if known is None else (known if guess is None else known.join(guess))
        ahead = 0 if begin is None else min(len(begin), len(targets))
        if begin is None or ahead < len(targets):
            start = None if begin is None else begin.joint_pos[-1]
            state = initial_state(targets[ahead:], self.model, start)
            state = state if begin is None else begin[:ahead].join(state)
        else:
            state = begin[:ahead]
        inputs = self._inputs(targets, self._support(targets, state, np.arange(len(targets))), state.joint_pos)
        if targets.meeting.any():  # as in `fit`
            state = self.minimise(state, inputs, targets.fps, _COLLISION_FREE_STEPS, fixed, free=True)
        state = self.minimise(state, inputs, targets.fps, min(iterations, _WINDOW_STEPS), fixed)
        return limited(state, self.model, targets.fps, fixed)

    def _support(self, targets: Targets, state: State, frames: np.ndarray) -> terms.Support:
        poses = self.model.kinematics.poses(state)
        return terms.support(targets, self.model, self.mapping["balance"], poses, frames)

    def _inputs(self, targets: Targets, stand: terms.Support, guess: np.ndarray) -> _Inputs:
        """With the weights of staying near the guess."""
        factor = np.ones((len(targets), len(self.posture)))
        down = np.minimum(terms.crouching(targets), targets.holding.min(axis=1))
        factor[:, self.twists] += (_TWIST_FACTOR - 1.0) * down[:, None]
        return _Inputs(targets, stand, guess, factor * self.posture)

    def minimise(
        self,
        state: State,
        inputs: _Inputs,
        fps: float,
        iterations: int,
        fixed: int = 0,
        report: Callable[[float], None] = lambda share: None,
        free: bool = False,
        still: float = _STEP_TOLERANCE,
    ) -> State:
        """Levenberg-Marquardt until convergence or for ``iterations`` steps; the first ``fixed`` frames are kept.

        Stretches of time that have converged are skipped. The others accept or reject their steps individually, and
        each frame has its own damping, so that a difficult moment does not slow down the rest. ``free`` lets parts of
        the robot pass through each other.
        """
        frames = np.arange(len(state))
        poses = self.model.kinematics.poses(state)
        watched = self._watched(poses, inputs.targets, fps, free)
        margin = max(3, round(_NEIGHBOURHOOD_SECONDS * fps))
        here, damping, stretch = state, np.full(len(state), 1e-4), np.zeros(len(state), dtype=int)
        point: _Point | None = self._evaluate(here, inputs, watched, stretch, fps, poses)
        for iteration in range(iterations):
            report(iteration / iterations)
            point = point or self._evaluate(here, inputs, watched, stretch, fps)
            step, shortened = self._step(point, here, damping, self._held(frames, fixed, len(state)))
            new = here.moved(step, self.model.lower, self.model.upper)
            trial = self._evaluate(new, inputs, watched, stretch, fps)
            before, after = point.cost, trial.cost
            sums = [np.bincount(stretch, cost) for cost in (before, after)]
            taken, worse = (sums[1] <= sums[0])[stretch], after > before
            moving = np.where(taken, shortened | (np.abs(step).max(axis=1) > still), worse)
            moving &= (np.abs(sums[0] - sums[1]) > _MIN_COST_DECREASE * sums[0])[stretch]
            moving &= np.where(taken, after, before) > _COST_TOLERANCE
            moving |= np.where(taken, trial.too_near, point.too_near)
            damping *= np.where(worse, np.where(taken, 3.0, 30.0), np.where(taken, 0.3, 1.0))
            damping = np.clip(damping, 1e-6, 1e4)
            here = new.where(taken, here)
            state = state.replaced(frames, here)
            active = np.zeros(len(state))
            active[frames[moving]] = 1.0
            keep = maximum_filter1d(active, 2 * margin + 1)[frames] > 0
            if not keep.any():
                break
            point = trial if taken.all() else None
            if not keep.all():
                frames, here, inputs, damping = frames[keep], here[keep], inputs[keep], damping[keep]
                stretch = np.r_[0, np.cumsum(np.diff(frames) > 1)]
                point = point and point.within(np.flatnonzero(keep), self._between(here, inputs, stretch, fps))
        return state

    @staticmethod
    def _held(frames: np.ndarray, fixed: int, total: int) -> np.ndarray:
        """Frames that are kept: the first ``fixed``, and two at the ends of stretches, next to converged ones."""
        out = frames < fixed
        breaks = np.flatnonzero(np.diff(frames) > 1)
        for ends in (breaks, breaks - 1, breaks + 1, breaks + 2):
            out[np.clip(ends, 0, len(frames) - 1)] = True
        if frames[0] > 0:
            out[:2] = True
        if frames[-1] < total - 1:
            out[-2:] = True
        return out

    def _watched(self, poses: Poses, targets: Targets, fps: float, free: bool) -> _Watched:
        """Parts that come close to something; ``free``: parts of the robot may pass through each other."""
        model, sampled = self.model, slice(None, None, max(1, round(fps / _COARSE_FPS)))
        poses = poses[sampled]
        solids = None if targets.solids is None else targets.solids[sampled]
        around = near_solids(model.probes, poses, solids, _WATCHED_CLEARANCE)
        near = np.zeros(0, dtype=int) if free else model.capsules.near(poses, _WATCHED_DISTANCE)
        pairs = model.capsules[near]
        apart = np.full(len(pairs), float(self.mapping["limits"]["clearance"]))
        if solids is not None:
            ends = model.description.capsule_body[pairs.pairs]
            legs = model.of_leg[ends].any(axis=1) & ~(model.of_leg[ends] | (ends == model.pelvis)).all(axis=1)
            apart[legs | (model.of_arm[ends].sum(axis=1) == 1)] = _SELF_CLEARANCE
            apart[np.isin(ends, model.bodies["hand"]).any(axis=1) & model.of_hips[ends].any(axis=1)] = (
                _HAND_HIP_CLEARANCE
            )
        floor = np.where(model.probes.foot[around[:, 0]] >= 0, _SOLE_CLEARANCE, _FLOOR_CLEARANCE)
        on_floor, weights = around[:, 1] == FLOOR, self.mapping["weights"]
        weight = np.where(on_floor, weights["floor"], weights["objects"])
        return _Watched(pairs, apart, around, np.where(on_floor, floor, _OBJECT_CLEARANCE), weight)

    def _weights(self, led: bool) -> dict[str, Any]:
        """Weights of the terms; with objects, which pull more strongly, constraints have more weight."""
        weights = self.mapping["weights"]
        firm = ("clearance", "foot_contact_position", "foot_contact_rotation", "center_of_mass")
        return {**weights, **{name: _OBJECTS_FACTOR * weights[name] for name in firm}} if led else weights

    def _evaluate(
        self,
        state: State,
        inputs: _Inputs,
        watched: _Watched,
        stretch: np.ndarray,
        fps: float,
        poses: Poses | None = None,
    ) -> _Point:
        """Residuals and cost at a state, whose poses may be known; Jacobians are computed when `_normal` needs them."""
        model, targets = self.model, inputs.targets
        weights = self._weights(targets.solids is not None)
        poses = poses or model.kinematics.poses(state)
        common = (model, poses, targets, weights)
        body = [terms.positions(*common), terms.rotations(*common), terms.pelvis_rotation(*common)]
        arms = [*terms.hands_meet(*common), terms.directions(*common), terms.hands(*common)]
        for k in range(2):
            body += terms.reach(model, poses, targets, weights["reach"], k)
            arms += terms.palm(model, poses, targets, weights["hand_contact"], k)
        body += terms.balance(model, poses, inputs.stand, weights["center_of_mass"])
        body += terms.bearing(model, poses, targets, weights["bearing"], model.body_block)
        arms += terms.bearing(model, poses, targets, weights["bearing"], model.arms_block)
        away = inputs.guess - state.joint_pos
        cost = np.sum(inputs.posture * away**2, axis=1)
        for term in (*body, *arms):
            cost += np.sum(term.weight * term.residual**2, axis=1)
        clear = clearances(model.probes, poses, watched.around, targets.solids, targets.contact)
        gaps = terms.clear_of_solids(model, poses, clear, watched.clearance, watched.weight)
        too_near = np.zeros(len(state), dtype=bool)
        if len(watched.pairs):
            near = watched.pairs.distances(poses, watched.apart + terms.ACTIVATION_DISTANCE)
            too_near[near.frame[near.distance < _TOO_NEAR * self.mapping["limits"]["clearance"]]] = True
            gaps = gaps.join(terms.parts_apart(model, poses, near, watched.apart, weights["clearance"]))
        cost += np.bincount(gaps.frame, gaps.weight * np.maximum(gaps.short, 0.0) ** 2, len(state))
        joins = self._between(state, inputs, stretch, fps)
        return _Point(away, inputs.posture, (body, arms), gaps, too_near, cost, joins)

    def _problem(self, point: _Point, block: np.ndarray, its: list[terms.Term], damping: np.ndarray) -> Problem:
        """The linear problem of a step of a block."""
        t, rows, n = len(point.own), sum(term.residual.shape[1] for term in its), len(block)
        hessian, gradient = np.empty((t, n, n)), np.empty((t, n))
        for first in range(0, t, _CHUNK):
            frames, row = slice(first, first + _CHUNK), 0
            jacobian = np.empty((min(t - first, _CHUNK), rows, n))
            weighted, pull = np.empty_like(jacobian), np.empty(jacobian.shape[:2])
            for term in its:
                part, weight = slice(row, row := row + term.residual.shape[1]), term.weight[frames]
                jacobian[:, part] = term.jacobian(frames)
                np.multiply(jacobian[:, part], weight[:, :, None], out=weighted[:, part])
                np.multiply(term.residual[frames], weight, out=pull[:, part])
            across = jacobian.swapaxes(1, 2)
            hessian[frames], gradient[frames] = across @ weighted, (across @ pull[:, :, None])[:, :, 0]
        joints = block[block >= ROOT] - ROOT
        first = n - len(joints)
        posture = point.posture[:, joints]
        gradient[:, first:] += posture * point.away[:, joints]
        diagonal = np.arange(n)
        hessian[:, diagonal, diagonal] += 1e-3
        hessian[:, diagonal[first:], diagonal[first:]] += posture
        return Problem(hessian, gradient, point.joins.of(block), damping, point.gaps.of(self.model, block))

    def _between(self, state: State, inputs: _Inputs, stretch: np.ndarray, fps: float) -> Joins:
        """Smoothness, and excess joint speeds and accelerations; none across stretches (T,) of time."""
        t, model, weight = len(state), self.model, self.mapping["weights"]["limits"]
        speed = np.empty((max(t - 1, 0), model.size))
        speed[:, :3] = state.root_pos[1:] - state.root_pos[:-1]
        speed[:, 3:ROOT] = log(state.root_rot[1:] @ state.root_rot[:-1].swapaxes(1, 2))
        speed[:, ROOT:] = state.joint_pos[1:] - state.joint_pos[:-1]
        smooth = speed[1:] - speed[:-1]
        smooth_weight = np.tile(self.smooth * (fps / _SMOOTH_FPS) ** 4, (len(smooth), 1))
        smooth_weight[:, :ROOT] *= 1.0 + (_CROUCH_SMOOTHING - 1.0) * terms.crouching(inputs.targets)[1:-1, None]
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
        return Joins(speed_weight, over, smooth_weight, smooth)

    def _step(
        self, point: _Point, state: State, damping: np.ndarray, frozen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The step (T, N) of all blocks, limited to where the linearisation holds; and whether (T,) it was limited."""
        step = np.zeros((len(state), self.model.size))
        longest = np.full(len(state), _MAX_STEP)
        for block, its in zip(self.blocks, point.found, strict=True):
            problem = self._problem(point, block, its, damping)
            joints = block[block >= ROOT] - ROOT
            least, most = (np.full(problem.gradient.shape, value) for value in (-np.inf, np.inf))
            least[:, len(block) - len(joints) :] = (self.model.lower - state.joint_pos)[:, joints]
            most[:, len(block) - len(joints) :] = (self.model.upper - state.joint_pos)[:, joints]
            step[:, block], close = solve(problem, least, most, frozen)
            longest[close] = _MAX_STEP_NEAR
        size = np.abs(step[:, 3:]).max(axis=1, initial=0.0)
        share = minimum_filter1d(longest, 5) / np.maximum(size, 1e-9)
        return step * np.minimum(1.0, share)[:, None], share < 1.0
