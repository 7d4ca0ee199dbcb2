"""Whole-trajectory inverse kinematics: Levenberg-Marquardt over all frames at once.

All frames are solved together, with second differences of every coordinate as part of the problem: so the first frame
is no different from the others, contacts stay put, and no filter afterwards undoes them. The normal equations are
banded. Joint limits are held by projection: coordinates that press against a limit leave the problem for that step.
Pinocchio gives poses and Jacobians; the rest is numpy over frames.

The body (base, legs, waist) and the two arms are solved as three blocks in each step, since arms follow directions
that hold in the world and should not move the body.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pinocchio as pin
from scipy.linalg import LinAlgError, solveh_banded
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from exoactor import robot
from exoactor_retarget.geometry import SIDES, geometry
from exoactor_retarget.targets import Targets

BODY, LEFT_ARM, RIGHT_ARM = slice(0, 21), slice(21, 28), slice(28, 35)
BLOCKS = (BODY, LEFT_ARM, RIGHT_ARM)


@dataclass(frozen=True)
class Kinematics:
    """Poses and Jacobians of T frames: ``jac`` (T, 6, 35) spatial velocity at the world's origin, linear first."""

    pos: dict[str, np.ndarray]
    rot: dict[str, np.ndarray]
    jac: np.ndarray
    com: np.ndarray
    com_jac: np.ndarray


@dataclass(frozen=True)
class _Problem:
    """Cost of each frame (T,), and the normal equations of each block without smoothing."""

    cost: np.ndarray
    hessians: list[np.ndarray]
    gradients: list[np.ndarray]
    acceleration: np.ndarray


@dataclass(frozen=True)
class _Sphere:
    link: str
    at: np.ndarray
    radius: float
    block: slice


def _log(rotations: np.ndarray) -> np.ndarray:
    """Rotation vectors of matrices (..., 3, 3); accurate away from half turns, and finite there."""
    skew = np.stack(
        [
            rotations[..., 2, 1] - rotations[..., 1, 2],
            rotations[..., 0, 2] - rotations[..., 2, 0],
            rotations[..., 1, 0] - rotations[..., 0, 1],
        ],
        axis=-1,
    )
    sine = 0.5 * np.linalg.norm(skew, axis=-1)
    cosine = 0.5 * (np.trace(rotations, axis1=-2, axis2=-1) - 1.0)
    angle = np.arctan2(sine, cosine)
    factor = np.where(sine > 1e-6, angle / np.maximum(sine, 1e-6), 1.0)
    return 0.5 * factor[..., None] * skew


class Solver:
    """Inverse kinematics of a whole motion for given targets."""

    def __init__(self, mapping: dict[str, Any]):
        self.mapping = mapping
        self.model = robot.pinocchio_model()
        self.data = self.model.createData()
        margin = mapping["limits"]["margin"]
        self.lower = robot.JOINT_LIMITS[:, 0] + margin
        self.upper = robot.JOINT_LIMITS[:, 1] - margin
        self.lower[[3, 9]] = np.maximum(self.lower[[3, 9]], mapping["limits"]["knee_min"])
        self.upper[[18, 25]] = np.minimum(self.upper[[18, 25]], mapping["limits"]["elbow_max"])
        self.spheres = [
            _Sphere(s["link"].replace("left", side), np.array(s["at"]) * [1, mirror, 1], s["radius"], block)
            for side, mirror, block in (("left", 1, LEFT_ARM), ("right", -1, RIGHT_ARM))
            for s in mapping["spheres"]
        ]
        self.capsules = [
            (c["link"], np.array([c["from"], c["to"]], dtype=np.float64), float(c["radius"]))
            for c in mapping["capsules"]
        ]
        links = ["pelvis", "torso_link"]
        for side in SIDES:
            links += [f"{side}_{n}_link" for n in (
                "ankle_roll", "shoulder_roll", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw", "hip_roll", "hip_yaw"
            )]  # fmt: skip
        # Every link used here is moved by a joint directly, so its frame is the joint's.
        self.joint = {
            link: self.model.frames[self.model.getFrameId(link)].parentJoint
            for link in {*links, *(s.link for s in self.spheres), *(c[0] for c in self.capsules)}
        }
        self.support = {link: self._support(joint) for link, joint in self.joint.items()}
        self.smooth, self.posture = self._weights()

    def _support(self, joint: int) -> np.ndarray:
        mask = np.zeros(self.model.nv)
        for j in self.model.supports[joint].tolist():
            if j > 0:
                first = self.model.joints[j].idx_v
                mask[first : first + self.model.joints[j].nv] = 1.0
        return mask

    def _weights(self) -> tuple[np.ndarray, np.ndarray]:
        smooth, posture = self.mapping["smoothing"], self.mapping["weights"]["posture"]
        weights = np.empty(35)
        weights[:3], weights[3:6] = smooth["root_position"], smooth["root_rotation"]
        weights[6:18], weights[18:21], weights[21:] = smooth["legs"], smooth["waist"], smooth["arms"]
        stay = np.empty(35)
        stay[:6], stay[6:18], stay[18:21] = 0.0, posture["legs"], posture["waist"]
        for first in (21, 28):
            stay[first : first + 3] = posture["shoulder"]
            stay[first + 3] = posture["elbow"]
            stay[first + 4 : first + 7] = posture["wrist"]
        return weights, stay

    def kinematics(self, q: np.ndarray) -> Kinematics:
        """Poses and Jacobians of configurations (T, 36)."""
        t, links = len(q), list(self.joint)
        ids = [self.joint[link] for link in links]
        pos, rot = np.empty((len(links), t, 3)), np.empty((len(links), t, 3, 3))
        jac, com, com_jac = np.empty((t, 6, 35)), np.empty((t, 3)), np.empty((t, 3, 35))
        model, data, placements = self.model, self.data, self.data.oMi
        for i in range(t):
            com_jac[i] = pin.jacobianCenterOfMass(model, data, q[i], False)
            pin.computeJointJacobians(model, data, q[i])
            com[i] = data.com[0]
            jac[i] = data.J
            for k, j in enumerate(ids):
                placement = placements[j]
                pos[k, i] = placement.translation
                rot[k, i] = placement.rotation
        return Kinematics(dict(zip(links, pos, strict=True)), dict(zip(links, rot, strict=True)), jac, com, com_jac)

    def point_jac(self, kin: Kinematics, link: str, point: np.ndarray, block: slice) -> np.ndarray:
        """Jacobian (T, 3, n) of world points (T, 3) that move with a link, for the coordinates of a block."""
        lin, ang = kin.jac[:, :3, block], kin.jac[:, 3:, block]
        x, y, z = point[:, 0, None], point[:, 1, None], point[:, 2, None]
        out = lin + np.stack(
            [ang[:, 1] * z - ang[:, 2] * y, ang[:, 2] * x - ang[:, 0] * z, ang[:, 0] * y - ang[:, 1] * x], axis=1
        )
        return out * self.support[link][block]

    def turn_jac(self, kin: Kinematics, link: str, block: slice) -> np.ndarray:
        """Jacobian (T, 3, n) of a link's angular velocity."""
        return kin.jac[:, 3:, block] * self.support[link][block]

    # Each task gives (residual (T, r), Jacobian (T, r, n), weights broadcastable to (T, r)).

    def _body_tasks(self, kin: Kinematics, targets: Targets) -> list[tuple[np.ndarray, np.ndarray, Any]]:
        weights, b = self.mapping["weights"], BODY
        tasks = [
            (
                targets.pelvis_pos - kin.pos["pelvis"],
                self.point_jac(kin, "pelvis", kin.pos["pelvis"], b),
                np.array(weights["pelvis_position"]),
            ),
            (
                _log(targets.pelvis_rot @ kin.rot["pelvis"].transpose(0, 2, 1)),
                self.turn_jac(kin, "pelvis", b),
                weights["pelvis_rotation"],
            ),
            (
                _log(targets.torso_rot @ kin.rot["torso_link"].transpose(0, 2, 1)),
                self.turn_jac(kin, "torso_link", b),
                weights["torso_rotation"],
            ),
        ]
        soles = geometry().soles
        for k, side in enumerate(SIDES):
            link = f"{side}_ankle_roll_link"
            contact = targets.contact[:, k, None]
            turn = self.turn_jac(kin, link, b)
            tasks.append(
                (
                    targets.foot_pos[:, k] - kin.pos[link],
                    self.point_jac(kin, link, kin.pos[link], b),
                    np.where(contact, weights["foot_contact_position"], weights["foot_swing_position"]),
                )
            )
            tasks.append(
                (
                    _log(targets.foot_rot[:, k] @ kin.rot[link].transpose(0, 2, 1)),
                    turn,
                    np.where(contact, weights["foot_contact_rotation"], weights["foot_swing_rotation"]),
                )
            )
            corners = np.einsum("tij,cj->tci", kin.rot[link], soles[k])
            below = np.minimum(corners[..., 2] + kin.pos[link][:, None, 2], 0.0)
            if not targets.contact[:, k].all() and below.any():
                points = corners + kin.pos[link][:, None]
                for c in range(4):
                    jac = self.point_jac(kin, link, points[:, c], b)[:, 2:]
                    active = (below[:, c, None] < 0) & ~contact
                    tasks.append((-below[:, c, None], jac, np.where(active, weights["floor"], 0.0)))
        tasks.append(self._balance_task(kin, targets))
        return tasks

    def _balance_task(self, kin: Kinematics, targets: Targets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Centre of mass over the feet while these stand and the root is slow."""
        balance, fps = self.mapping["balance"], targets.fps
        contact = targets.contact.astype(np.float64)
        feet = contact.sum(axis=1)
        share = contact / np.maximum(feet, 1)[:, None]
        yaw = np.arctan2(np.sum(share * np.sin(targets.foot_yaw), 1), np.sum(share * np.cos(targets.foot_yaw), 1))
        forward = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
        left = np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)
        com = kin.com[:, :2]
        inside = np.zeros((len(com), 2))
        for axis, low, high in (
            (forward, *balance["forward"]),
            (left, -balance["sideways"], balance["sideways"]),
        ):
            feet_at = np.einsum("tkj,tj->tk", targets.foot_pos[:, :, :2], axis)
            first = np.where(contact > 0, feet_at, np.inf).min(axis=1) + low
            last = np.where(contact > 0, feet_at, -np.inf).max(axis=1) + high
            at = np.sum(com * axis, axis=1)
            with np.errstate(invalid="ignore"):
                error = np.clip(at, first, last) - at
            inside += np.where(feet > 0, error, 0.0)[:, None] * axis
        if len(com) > 1:
            smooth = gaussian_filter1d(targets.pelvis_pos[:, :2], 0.2 * fps, axis=0, mode="nearest")
            speed = np.linalg.norm(np.gradient(smooth, axis=0), axis=1) * fps
        else:
            speed = np.zeros(1)
        still = np.clip(2.0 - speed / balance["slow"], 0.0, 1.0) * (feet > 0)
        # Where a foot lands or leaves, the place to stand over jumps: leave these moments to the motion itself.
        change = np.r_[False, (targets.contact[1:] != targets.contact[:-1]).any(axis=1)]
        still *= 1.0 - maximum_filter1d(change.astype(float), round(0.5 * fps) | 1)
        still = gaussian_filter1d(still, 0.1 * fps, mode="nearest")
        return inside, kin.com_jac[:, :2, BODY], self.mapping["weights"]["center_of_mass"] * still[:, None]

    def _arm_tasks(self, kin: Kinematics, targets: Targets, k: int) -> list[tuple[np.ndarray, np.ndarray, Any]]:
        weights, g1, b, side = self.mapping["weights"], geometry(), BLOCKS[1 + k], SIDES[k]
        shoulder, elbow, wrist, hand = (
            f"{side}_{n}_link" for n in ("shoulder_roll", "elbow", "wrist_pitch", "wrist_yaw")
        )
        jac = {link: self.point_jac(kin, link, kin.pos[link], b) for link in (shoulder, elbow, wrist)}
        tasks = [
            (
                g1.upper_arm * targets.upper_arm[:, k] - (kin.pos[elbow] - kin.pos[shoulder]),
                jac[elbow] - jac[shoulder],
                weights["upper_arm"],
            ),
            (
                g1.forearm * targets.forearm[:, k] - (kin.pos[wrist] - kin.pos[elbow]),
                jac[wrist] - jac[elbow],
                weights["forearm"],
            ),
            (
                _log(targets.hand_rot[:, k] @ kin.rot[hand].transpose(0, 2, 1)),
                self.turn_jac(kin, hand, b),
                weights["hand_rotation"],
            ),
        ]
        for sphere in self.spheres:
            if sphere.block is b:
                task = self._clearance_task(kin, sphere)
                if task is not None:
                    tasks.append(task)
        return tasks

    def _clearance_task(self, kin: Kinematics, sphere: _Sphere) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Push a sphere of an arm out of the capsule of the body that it is deepest in."""
        centre = kin.pos[sphere.link] + kin.rot[sphere.link] @ sphere.at
        worst, normal = np.zeros(len(centre)), np.zeros((len(centre), 3))
        for link, ends, radius in self.capsules:
            start = kin.pos[link] + kin.rot[link] @ ends[0]
            along = kin.rot[link] @ (ends[1] - ends[0])
            share = np.clip(np.sum((centre - start) * along, -1) / (np.sum(along * along, -1) + 1e-12), 0.0, 1.0)
            away = centre - start - share[:, None] * along
            distance = np.linalg.norm(away, axis=1)
            depth = sphere.radius + radius - distance
            deeper = depth > worst
            worst = np.where(deeper, depth, worst)
            normal = np.where(deeper[:, None], away / np.maximum(distance, 1e-6)[:, None], normal)
        if not worst.any():
            return None
        jac = self.point_jac(kin, sphere.link, centre, sphere.block)
        row = np.einsum("ti,tij->tj", normal, jac)[:, None]
        return worst[:, None], row, self.mapping["weights"]["clearance"]

    def _accelerations(self, q: np.ndarray, rot: np.ndarray) -> np.ndarray:
        """Second differences (T - 2, 35) in the base's own axes, as the coordinates of a step are."""
        t = len(q)
        out = np.empty((max(t - 2, 0), 35))
        if t < 3:
            return out
        linear = q[2:, :3] - 2 * q[1:-1, :3] + q[:-2, :3]
        out[:, :3] = np.einsum("tji,tj->ti", rot[1:-1], linear)
        turn = _log(rot[:-1].transpose(0, 2, 1) @ rot[1:])
        out[:, 3:6] = turn[1:] - turn[:-1]
        out[:, 6:] = q[2:, 7:] - 2 * q[1:-1, 7:] + q[:-2, 7:]
        return out

    def solve(
        self, q: np.ndarray, targets: Targets, iterations: int, report: Callable[[float], None] = lambda share: None
    ) -> np.ndarray:
        """Improve configurations (T, 36) until they stop changing, or ``iterations`` steps are done.

        Joint speeds above the allowed share of the limits are then smoothed where they occur.
        """
        guess = q[:, 7:].copy()
        stiff = np.ones(max(len(q) - 2, 0))
        q = self._minimise(q, guess, targets, stiff, iterations, report)
        most = self.mapping["limits"]["speed_share"] * robot.VELOCITY_LIMITS / targets.fps
        for _ in range(4):
            over = (np.abs(np.diff(q[:, 7:], axis=0)) > most).any(axis=1)
            if len(q) < 3 or not over.any():
                break
            near = maximum_filter1d(over.astype(float), round(0.2 * targets.fps) | 1)
            stiff *= 1.0 + 9.0 * gaussian_filter1d(near, 0.05 * targets.fps)[: len(stiff)]
            q = self._minimise(q, guess, targets, stiff, 3, report)
        return self._slowed(q, most)

    def _minimise(
        self,
        q: np.ndarray,
        guess: np.ndarray,
        targets: Targets,
        stiff: np.ndarray,
        iterations: int,
        report: Callable[[float], None],
    ) -> np.ndarray:
        """Levenberg-Marquardt; the damping is a frame's own, so that one hard frame does not slow the others."""
        damping = np.full(len(q), 1e-4)
        problem = self._linearise(q, guess, targets, stiff)
        for iteration in range(iterations):
            report(iteration / iterations)
            step = self._step(problem, q, stiff, damping)
            new = np.stack([pin.integrate(self.model, a, b) for a, b in zip(q, step, strict=True)])
            new[:, 7:] = np.clip(new[:, 7:], self.lower, self.upper)
            trial = self._linearise(new, guess, targets, stiff)
            worse = trial.cost > problem.cost
            if trial.cost.sum() > problem.cost.sum():
                damping[worse] *= 30.0
                continue
            gain = 1.0 - trial.cost.sum() / max(problem.cost.sum(), 1e-12)
            damping = np.where(worse, 3.0 * damping, 0.3 * damping)
            q, problem = new, trial
            if np.abs(step).max() < 2e-3 or (gain < 1e-3 and iteration > 3):
                break
        return q

    @staticmethod
    def _slowed(q: np.ndarray, most: np.ndarray) -> np.ndarray:
        """Last resort: bound the change of each joint from frame to frame, looking both ways."""
        joint = q[:, 7:]
        if len(q) < 2 or not (np.abs(np.diff(joint, axis=0)) > most).any():
            return q
        forth, back = joint.copy(), joint.copy()
        for t in range(1, len(q)):
            forth[t] = forth[t - 1] + np.clip(joint[t] - forth[t - 1], -most, most)
            back[-1 - t] = back[-t] + np.clip(joint[-1 - t] - back[-t], -most, most)
        return np.concatenate([q[:, :7], 0.5 * (forth + back)], axis=1)

    def _linearise(self, q: np.ndarray, guess: np.ndarray, targets: Targets, stiff: np.ndarray) -> _Problem:
        kin = self.kinematics(q)
        acceleration = self._accelerations(q, kin.rot["pelvis"])
        away = guess - q[:, 7:]
        cost = np.sum(self.posture[6:] * away**2, axis=1)
        cost[1:-1] += stiff * np.sum(self.smooth * acceleration**2, axis=1)
        hessians, gradients = [], []
        for k, block in enumerate(BLOCKS):
            tasks = self._body_tasks(kin, targets) if k == 0 else self._arm_tasks(kin, targets, k - 1)
            residual = np.concatenate([r for r, _, _ in tasks], axis=1)
            jac = np.concatenate([j for _, j, _ in tasks], axis=1)
            weight = np.concatenate([np.broadcast_to(w, r.shape) for r, _, w in tasks], axis=1)
            cost += np.sum(weight * residual**2, axis=1)
            weighted = (jac * weight[:, :, None]).transpose(0, 2, 1)
            hessian = weighted @ jac
            gradient = (weighted @ residual[:, :, None])[:, :, 0]  # points along the step to take
            hessian += np.diag(self.posture[block] + 1e-3)
            joints = slice(max(block.start, 6) - 6, block.stop - 6)
            gradient[:, joints.start + 6 - block.start :] += self.posture[6:][joints] * away[:, joints]
            hessians.append(hessian)
            gradients.append(gradient)
        return _Problem(cost, hessians, gradients, acceleration)

    def _step(self, problem: _Problem, q: np.ndarray, stiff: np.ndarray, damping: np.ndarray) -> np.ndarray:
        step = np.zeros((len(q), 35))
        for block, hessian, gradient in zip(BLOCKS, problem.hessians, problem.gradients, strict=True):
            diagonal = np.einsum("tii->ti", hessian)
            damped = hessian + (damping[:, None] * (diagonal + 1.0))[:, :, None] * np.eye(hessian.shape[1])
            step[:, block] = self._banded(damped, gradient, problem.acceleration[:, block], block, q, stiff)
        longest = np.abs(step[:, 3:]).max(axis=1, initial=0.0)
        return step * np.minimum(1.0, 0.6 / np.maximum(longest, 1e-9))[:, None]

    def _banded(
        self,
        hessian: np.ndarray,
        gradient: np.ndarray,
        acceleration: np.ndarray,
        block: slice,
        q: np.ndarray,
        stiff: np.ndarray,
    ) -> np.ndarray:
        """Solve (blocks + smoothing) step = gradient, with coordinates at their limits held."""
        t, n = gradient.shape
        smooth = self.smooth[block]
        diagonals = np.zeros((3, t))  # of D' diag(stiff) D, D the second difference
        gradient = gradient.copy()
        if t > 2:
            diagonals[0, :-2] += stiff
            diagonals[0, 1:-1] += 4 * stiff
            diagonals[0, 2:] += stiff
            diagonals[1, :-2] -= 2 * stiff
            diagonals[1, 1:-1] -= 2 * stiff
            diagonals[2, :-2] += stiff
            pull = smooth * stiff[:, None] * acceleration
            gradient[:-2] -= pull
            gradient[1:-1] += 2 * pull
            gradient[2:] -= pull
        lower = np.full(35, -np.inf)
        upper = np.full(35, np.inf)
        lower[6:], upper[6:] = self.lower, self.upper
        value = np.concatenate([np.zeros((t, 6)), q[:, 7:]], axis=1)[:, block]
        held = ((value <= lower[block] + 1e-9) & (gradient < 0)) | ((value >= upper[block] - 1e-9) & (gradient > 0))
        bands = np.zeros((2 * n + 1, t * n))
        for k in range(n):
            bands[k].reshape(t, n)[:, : n - k] = hessian[:, np.arange(k, n), np.arange(n - k)]
        bands[0] += (diagonals[0][:, None] * smooth).ravel() + 1e9 * held.ravel()
        bands[n] += (diagonals[1][:, None] * smooth).ravel()
        bands[2 * n] += (diagonals[2][:, None] * smooth).ravel()
        gradient[held] = 0.0
        damping = 0.0
        for _ in range(8):
            try:
                return solveh_banded(bands, gradient.ravel(), lower=True, check_finite=False).reshape(t, n)
            except LinAlgError:
                damping = max(10 * damping, 1e-2)
                bands[0] += damping
        return np.zeros_like(gradient)
