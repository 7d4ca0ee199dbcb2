"""The terms of the cost that a fit minimizes, with their derivatives.

They are errors of the landmarks in the image (robust) and of the directions of the limbs in space (if the detector
provides them), joints outside their range, accelerations and jerks, and motion of the feet on the floor while they
touch it.

Sources: SMPLify (Bogo et al., ECCV 2016) and SMPLify-X (Pavlakos et al., CVPR 2019), with
contacts as in Rempe et al., "HuMoR" (ICCV 2021); balance by the zero-moment point of a point mass (Kajita et al.,
ICRA 2003).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from exoactor_core.arrays import unit
from exoactor_core.body import BodyModel
from exoactor_core.constants import GRAVITY
from exoactor_pose.detection.anatomy import LANDMARK_TRUST, SEGMENTS, joint_ranges
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.fitting.banded import Banded
from exoactor_pose.fitting.camera import Camera
from exoactor_pose.fitting.skeleton import CAMERA, LANDMARKS, MIXING, VARIABLES, Points, Skeleton, State

FOOT_WIDTH = 0.09
"""m, minimum distance between the centre lines of two feet: a foot is 0.10 m wide at the ball, 0.07 at the heel (Gordon
et al., "ANSUR II", 2014)."""
CHUNK = 64
"""Number of frames whose derivatives are held at a time."""


@dataclass(frozen=True)
class Weights:
    """Standard deviations of the terms of the fit, and its iterations."""

    image: float = 0.02
    """m at the person's distance, for a landmark of full trust."""
    direction: float = 0.4
    """rad, direction of a limb in space: a detector's errors are half of this and persist for many frames."""
    acceleration: tuple[float, float, float] = (3.5, 17.0, 25.0)
    """m/s^2 of the pelvis' position, rad/s^2 of its rotation, and of the joints' axis-angles."""
    jerk: tuple[float, float, float] = (6.0, 30.0, 45.0)
    """m/s^3, rad/s^3 and rad/s^3 of the same, which keeps the motion as smooth as people's."""
    sudden: float = 2.5
    """Standard deviations of acceleration and jerk beyond which the cost hardly grows: kicks and steps are quick."""
    slide: float = 0.05
    """m/s, of a sole point in contact."""
    locked: float = 0.02
    """The same in the last pass, when the contacts are certain."""
    floor: float = 0.01
    """m, height of a sole point in contact, or depth of any sole point below the floor."""
    overlap: float = 0.02
    """m, overlap of the feet."""
    airborne: float = 0.05
    """m, height of the lowest sole point; robust, since people jump."""
    balance: float = 0.03
    """m, zero-moment point from the centre of the sole points in contact; robust."""
    dynamic_balance: float = 0.5
    """The same as a share of its distance from the foot of the centre of mass, larger when a body moves quickly, since
    the angular momentum of its limbs matters as well."""
    usual_pitch: float = 0.1
    """rad: a third-person camera looks down a little."""
    pitch: float = 0.04
    """rad, deviation of the camera's pitch from the usual one."""
    roll: float = 0.02
    """rad, camera roll; robust: most cameras are level, the others at any angle."""
    stature: float = 0.002
    """m."""
    travel: float = 0.3
    """Of the scale of the camera's path, relative."""
    shape: float = 0.6
    """Of the other shape coefficients, in their standard deviations: estimates of one person vary more between views
    than people do."""
    prior_frames: int = 15
    """The priors of common variables count once per so many frames, since a detector's errors persist."""
    iterations: tuple[int, int] = (10, 12)
    """Maximum iterations before and after the contacts are known."""


@dataclass(frozen=True)
class Common:
    """Prior knowledge of shape and camera, the common variables."""

    mean: np.ndarray
    """(N,)."""
    information: np.ndarray
    """(N, N) inverse covariance."""

    def updated(self, found: np.ndarray, information: np.ndarray, share: float) -> Common:
        """The same with a share of the information of a fit, which with this prior found them to be (N,)."""
        total = self.information + share * information
        own = information @ found + self.information @ (found - self.mean)
        return Common(np.linalg.solve(total, self.information @ self.mean + share * own), total)


def _huber(x: np.ndarray, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Pseudo-Huber loss of x >= 0 (x^2 for small x, like x beyond ``scale``) and its weight on x^2."""
    root = np.sqrt(1 + (x / scale) ** 2)
    return 2 * scale**2 * (root - 1), 1 / root


def _cauchy(x: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Cauchy loss (x^2 for small x, like log x beyond ``scale``) and its weight on x^2."""
    square = (x / scale) ** 2
    return scale**2 * np.log1p(square), 1 / (1 + square)


def _outlier(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Geman-McClure loss (x^2 for small x, at most 1) and its weight on x^2."""
    return x**2 / (1 + x**2), 1 / (1 + x**2) ** 2


class _Rows:
    """Errors of F frames with their derivatives, scaled by the root of their weights, and their cost."""

    def __init__(self, shapes: int) -> None:
        self._shapes, self._rows = shapes, list[np.ndarray]()
        self.cost = 0.0

    def add(
        self, error: np.ndarray, variable: np.ndarray, shape: np.ndarray, camera: dict[int, Any], weight: np.ndarray
    ) -> None:
        """Add errors (F, ...) with derivatives (F, ..., n), also by some of the camera's variables, and weights."""
        common = VARIABLES + self._shapes
        row = np.zeros((*error.shape, common + CAMERA + 1), np.float32)
        row[..., :VARIABLES], row[..., VARIABLES:common], row[..., -1] = variable, shape, error
        for k, derivative in camera.items():
            row[..., common + k] = derivative
        row = row.reshape(len(error), -1, row.shape[-1])
        self._rows.append(row * np.sqrt(weight)[..., None].astype(np.float32))

    def add_to(self, equations: Banded, frames: slice) -> None:
        """Add them to the normal equations of these frames."""
        system = np.concatenate(self._rows, axis=1)
        system = np.swapaxes(system, 1, 2) @ system
        equations.add(frames, system[:, :VARIABLES, :VARIABLES])
        equations.border[frames] += system[:, :VARIABLES, VARIABLES:-1]
        equations.gradient[frames] += system[:, :VARIABLES, -1]
        equations.corner += system[:, VARIABLES:-1, VARIABLES:-1].sum(0)
        equations.common_gradient += system[:, VARIABLES:-1, -1].sum(0)


class Terms:
    """The terms of the cost of poses, shape and camera, given the landmarks of T frames.

    Of the camera the focal lengths and the centre are used; ``height`` is the person's, m. The first ``settled`` frames
    are kept as an earlier fit found them, and ``prior`` is its knowledge of shape and camera.
    """

    def __init__(
        self,
        seen: Landmarks,
        camera: Camera,
        body: BodyModel,
        height: float,
        weights: Weights,
        prior: Common | None = None,
        settled: int = 0,
    ) -> None:
        self.seen, self.height, self.weights, self.prior, self.settled = seen, height, weights, prior, settled
        self.fps, self.frames = seen.fps, len(seen)
        self.skeleton = Skeleton(body)
        self.trust = LANDMARK_TRUST * np.clip(seen.image[..., 2], 0.05, 1.0) * seen.found[:, None]
        """(T, 33) weights of the landmarks."""
        low, high, spread = (a.ravel() @ np.abs(MIXING) for a in joint_ranges())
        shared = np.abs(MIXING).sum(0)  # joints that share a variable have similar ranges
        self._low, self._high = low / shared, high / shared
        self._pull = shared * (shared / spread) ** 2 / 2
        sizes = (3, 3, MIXING.shape[1])
        self._smooth = {
            order: np.repeat(spread, sizes) / self.fps**order
            for order, spread in ((2, weights.acceleration), (3, weights.jerk))
        }
        # The state's frame looks along the first camera, and is level if that camera has the usual pitch.
        self.camera = replace(camera, pitch=weights.usual_pitch, height=0.0)
        turns = np.eye(3)[None] if seen.camera_rotation is None else seen.camera_rotation
        self.views = np.broadcast_to(turns @ self.camera.rotation, (self.frames, 3, 3))
        """(T, 3, 3) from the frame of reference to the cameras' axes."""
        focal, centre = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
        self.rays = (seen.image[..., :2] - centre) / focal
        """(T, 33, 2) landmarks at unit depth."""
        self.travel = np.zeros((self.frames, 3))
        """(T, 3) m, path of the camera."""
        self.fixed = np.zeros((self.frames, 4))
        """(T, 4) certainty with which sole points do not move."""
        self.slide = weights.slide
        """m/s, standard deviation of their speed."""
        self._directions = np.zeros((self.frames, len(SEGMENTS), 3))
        self._direction_trust = np.zeros((self.frames, len(SEGMENTS)))
        self._observations = max(1.0, (self.frames - settled) / weights.prior_frames)

    def set_directions(self, space: np.ndarray) -> None:
        """Set the directions of the limbs to those between landmarks (T, 33, 3) in the frame of reference."""
        self._directions = unit(space[:, SEGMENTS[:, 1]] - space[:, SEGMENTS[:, 0]])
        visible = np.clip(self.seen.image[:, SEGMENTS, 2], 0.05, 1.0)
        self._direction_trust = (LANDMARK_TRUST[SEGMENTS] * visible).min(axis=-1) * self.seen.found[:, None]

    def equations(self, state: State, contacts: np.ndarray | None) -> tuple[float, Banded]:
        """Cost and normal equations of a step from ``state``."""
        equations = Banded(self.frames, VARIABLES, self.skeleton.shapes + CAMERA)
        cost = self._priors(state, equations) + self._smoothness(state, equations)
        sway = None if contacts is None else self._inertia(state)
        for start in range(self.settled, self.frames, CHUNK):
            frames = slice(start, min(start + CHUNK, self.frames))
            behind = slice(max(start - 1, 0), frames.stop)
            points = self.skeleton.points(state.part(behind))
            own = points.part(slice(start - behind.start, None))
            rows = _Rows(self.skeleton.shapes)
            self._image_terms(rows, state, own, frames)
            self._direction_terms(rows, own, frames)
            self._sole_terms(rows, state, own, None if contacts is None else contacts[frames])
            self._overlap_terms(rows, own)
            if contacts is not None and sway is not None:
                self._balance_terms(rows, state, own, contacts[frames], sway[frames])
            rows.add_to(equations, frames)
            cost += rows.cost
            if contacts is not None:
                cost += self._planted(points, behind, equations)
        if known := self.prior:
            away = state.common() - known.mean
            pull = known.information @ away
            cost += float(away @ pull)
            equations.corner += known.information
            equations.common_gradient += pull
            equations.hold(self.settled)
        return cost, equations

    def _priors(self, state: State, equations: Banded) -> float:
        """Joints within their range and near rest; shape and camera near the usual ones."""
        w, pose = self.weights, state.pose
        outside = (pose - self._high).clip(min=0) + (pose - self._low).clip(max=0)
        stiff = np.where(outside != 0, 1 / 0.05**2, 0.0)
        equations.band[:, 6:, 0] += stiff + self._pull
        equations.gradient[:, 6:] += stiff * outside + self._pull * pose
        cost = float((stiff * outside**2 + self._pull * pose**2).sum())

        shapes, observations = self.skeleton.shapes, self._observations
        spreads = np.array([w.pitch, w.roll, w.travel])
        which = shapes + np.array([0, 1, 3])
        rows = np.zeros((shapes + 3, shapes + CAMERA))
        rows[: shapes - 1, 1:shapes] = np.eye(shapes - 1) / w.shape
        rows[shapes - 1, :shapes] = self.skeleton.stature[1] / w.stature
        rows[shapes + np.arange(3), which] = 1 / spreads
        wanted = (self.skeleton.stature_of(state.betas) - self.height) / w.stature
        camera = (state.camera[[0, 1, 3]] - [0.0, 0.0, 1.0]) / spreads
        shape = (state.betas - self.skeleton.mean_betas)[1:] / w.shape
        error = np.concatenate([shape, [wanted], camera])
        loss, weight = error**2, np.ones_like(error)
        roll = shapes + 1
        loss[roll], weight[roll] = _cauchy(np.abs(error[roll]), 1.0)
        equations.corner += observations * (rows.T * weight) @ rows
        equations.common_gradient += observations * (rows.T * weight) @ error
        return cost + observations * float(loss.sum())

    def _smoothness(self, state: State, equations: Banded) -> float:
        """Acceleration and jerk of the pelvis and of the joints' axis-angles."""
        cost = 0.0
        turn = Rotation.from_matrix(state.root[1:] @ np.swapaxes(state.root[:-1], 1, 2)).as_rotvec()
        for order, spread in self._smooth.items():
            if self.frames <= order:
                break
            bend = np.concatenate(
                [
                    np.diff(state.path, order, axis=0),
                    np.diff(turn, order - 1, axis=0),
                    np.diff(state.pose, order, axis=0),
                ],
                axis=1,
            )
            robust = _huber if order == 2 else _cauchy
            loss, weight = robust(np.abs(bend) / spread, self.weights.sudden)
            equations.add_smoothness(weight / spread**2, bend, np.diff(np.eye(order + 1), order, axis=0)[0])
            cost += float(loss.sum())
        return cost

    def _inertia(self, state: State) -> np.ndarray:
        """(T, 3) m, zero-moment point relative to the foot of the centre of mass, by its present acceleration."""
        mass = self.points(state)[2]
        if self.frames < 3:
            return np.zeros_like(mass)
        smooth = gaussian_filter1d(mass, 0.08 * self.fps, axis=0, mode="nearest")
        acceleration = np.gradient(np.gradient(smooth, axis=0), axis=0) * self.fps**2
        return -0.55 * self.height / GRAVITY * acceleration

    def _image_terms(self, rows: _Rows, state: State, points: Points, frames: slice) -> None:
        """Landmarks in the image, in m at the person's distance, so that the distance cannot shrink the error."""
        w, at = self.weights, np.s_[:, :LANDMARKS]
        view = self.views[frames][:, None]
        travelled = self.travel[frames, None, :, None]
        p = (view @ (points.positions[at][..., None] - state.camera[3] * travelled))[..., 0]
        depth = p[..., 2:].clip(min=0.3)
        error = p[..., :2] - self.rays[frames] * depth
        loss, weight = _huber(np.linalg.norm(error, axis=-1) / w.image)
        rows.cost += float((self.trust[frames] * loss).sum())
        weight = np.repeat(self.trust[frames] * weight / w.image**2, 2, axis=1)
        jacobian = (view[..., :2, :] - (p[..., :2] / depth)[..., None] * view[..., 2:, :]).astype(np.float32)
        camera = {3: -(jacobian @ travelled)[..., 0]}
        rows.add(error, jacobian @ points.by_variable[at], jacobian @ points.by_shape[at], camera, weight)

    def _direction_terms(self, rows: _Rows, points: Points, frames: slice) -> None:
        """Directions of the limbs in space."""
        w = self.weights
        segment, by_variable, by_shape = (
            values[:, SEGMENTS[:, 1]] - values[:, SEGMENTS[:, 0]]
            for values in (points.positions, points.by_variable, points.by_shape)
        )
        length = np.linalg.norm(segment, axis=-1, keepdims=True).clip(min=1e-6)
        segment = segment / length
        error = segment - self._directions[frames]
        loss, weight = _huber(np.linalg.norm(error, axis=-1) / w.direction)
        rows.cost += float((self._direction_trust[frames] * loss).sum())
        weight = np.repeat(self._direction_trust[frames] * weight / w.direction**2, 3, axis=1)
        across = ((np.eye(3) - segment[..., None] * segment[..., None, :]) / length[..., None]).astype(np.float32)
        rows.add(error, across @ by_variable, across @ by_shape, {}, weight)

    def _sole_terms(self, rows: _Rows, state: State, points: Points, contacts: np.ndarray | None) -> None:
        """Heights of the soles: none below the floor, the lowest near it, those in contact (F, 4) on it."""
        w = self.weights
        up, tilts = _up(state.camera)
        soles = points.positions[:, LANDMARKS:]
        height = soles @ up + state.camera[2]
        below = (-height).clip(min=0) / w.floor
        loss, weight = _huber(below)
        weight = weight * (below > 0) / w.floor**2
        rows.cost += float(loss.sum())
        # wide before the contacts are known, so that a floor that starts far off is still pulled to the feet
        airborne = w.airborne if contacts is not None else 4 * w.airborne
        strength = 5 * (airborne / w.airborne) ** 0.5
        lowest, index = height.min(axis=1), height.argmin(axis=1)
        loss, lift = _outlier(lowest / airborne)
        rows.cost += float(strength * loss.sum())
        weight[np.arange(len(weight)), index] += strength * lift / airborne**2
        if contacts is not None:
            loss, touch = _huber(np.abs(height) / w.floor)
            rows.cost += float((contacts * loss).sum())
            weight = weight + contacts * touch / w.floor**2
        tilted = soles @ tilts.T
        by_variable, by_shape = (up @ values[:, LANDMARKS:] for values in (points.by_variable, points.by_shape))
        rows.add(height, by_variable, by_shape, {0: tilted[..., 0], 1: tilted[..., 1], 2: 1.0}, weight)

    def _overlap_terms(self, rows: _Rows, points: Points) -> None:
        """Overlap of the feet: seen from the side, the image hardly shows how far apart they are."""
        along = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])  # heel, middle, toe

        def between_feet(values: np.ndarray) -> np.ndarray:
            """(F, 9, ...) differences of points along the left and along the right foot."""
            heels_and_toes = values[:, LANDMARKS:].reshape(len(values), 2, 2, *values.shape[2:])
            left, right = np.moveaxis(np.einsum("ij,tkj...->tki...", along, heels_and_toes), 1, 0)
            return (left[:, :, None] - right[:, None]).reshape(len(values), 9, *values.shape[2:])

        gap = between_feet(points.positions)
        distance = np.linalg.norm(gap, axis=-1).clip(min=1e-3)
        overlap = (FOOT_WIDTH - distance).clip(min=0.0)
        if not overlap.any():
            return
        loss, weight = _huber(overlap / self.weights.overlap)
        rows.cost += float(loss.sum())
        towards = -(gap / distance[..., None])[..., None, :].astype(np.float32)
        by_variable, by_shape = (
            (towards @ between_feet(values))[..., 0, :] for values in (points.by_variable, points.by_shape)
        )
        rows.add(overlap, by_variable, by_shape, {}, weight * (overlap > 0) / self.weights.overlap**2)

    def _balance_terms(self, rows: _Rows, state: State, points: Points, contacts: np.ndarray, sway: np.ndarray) -> None:
        """The zero-moment point, ``sway`` (F, 3) m from the foot of the centre of mass, lies among the contacts (F, 4).

        This determines the pitch, and the position of a person who stands in place.
        """
        w, at = self.weights, np.s_[:, LANDMARKS:]
        up, tilts = _up(state.camera)
        share = contacts.sum(1)
        part = contacts / share[:, None].clip(min=1e-3)
        lean = points.mass + sway - np.einsum("tk,tkx->tx", part, points.positions[at])
        flat = np.eye(3) - np.outer(up, up)
        error = lean @ flat
        spread = np.hypot(w.balance, w.dynamic_balance * np.linalg.norm(sway @ flat, axis=-1))
        loss, weight = _huber(np.linalg.norm(error, axis=-1) / spread, 1.0)
        share = share.clip(max=1)
        rows.cost += float((share * loss).sum())
        turned = [-(lean @ t)[:, None] * up - (lean @ up)[:, None] * t for t in tilts]
        rows.add(
            error,
            flat @ (points.mass_by_variable - np.einsum("tk,tkxv->txv", part, points.by_variable[at])),
            flat @ (points.mass_by_shape - np.einsum("tk,tkxv->txv", part, points.by_shape[at])),
            dict(enumerate(turned)),
            np.repeat((share * weight / spread**2)[:, None], 3, axis=1),
        )

    def _planted(self, points: Points, frames: slice, equations: Banded) -> float:
        """Fixed sole points do not move from frame to frame."""
        pairs = frames.stop - frames.start - 1
        if pairs < 1:
            return 0.0
        here, ahead = slice(frames.start, frames.stop - 1), slice(frames.start + 1, frames.stop)
        slide = self.slide / self.fps
        soles = points.positions[:, LANDMARKS:]
        moved = soles[1:] - soles[:-1]
        both = np.minimum(self.fixed[here], self.fixed[ahead])
        loss, weight = _huber(np.linalg.norm(moved, axis=-1) / slide)
        scale = np.sqrt(np.repeat(both * weight / slide**2, 3, axis=1))[..., None]
        flat = (pairs, 12, -1)
        by_variable, by_shape = points.by_variable[:, LANDMARKS:], points.by_shape[:, LANDMARKS:]
        before = -by_variable[:-1].reshape(flat) * scale
        after = by_variable[1:].reshape(flat) * scale
        common = (by_shape[1:] - by_shape[:-1]).reshape(flat) * scale
        error = moved.reshape(flat) * scale
        left, right, shape = (np.swapaxes(x, 1, 2) for x in (before, after, common))
        equations.add(here, left @ before)
        equations.add(ahead, right @ after)
        equations.add_next(here, right @ before)
        shapes = self.skeleton.shapes
        equations.border[here, :, :shapes] += left @ common
        equations.border[ahead, :, :shapes] += right @ common
        equations.gradient[here] += (left @ error)[..., 0]
        equations.gradient[ahead] += (right @ error)[..., 0]
        equations.corner[:shapes, :shapes] += (shape @ common).sum(0)
        equations.common_gradient[:shapes] += (shape @ error).sum(0)[:, 0]
        return float((both * loss).sum())

    def points(self, state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Landmarks and soles (T, 37, 3), joints (T, 22, 3), centre of mass (T, 3)."""
        starts = range(0, self.frames, CHUNK)
        parts = [self.skeleton.points(state.part(slice(k, k + CHUNK)), derivatives=False) for k in starts]
        positions, joints, mass = zip(*((p.positions, p.joints, p.mass) for p in parts), strict=True)
        return np.concatenate(positions), np.concatenate(joints), np.concatenate(mass)


def _up(camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The world's z axis in the frame of reference (3,), and its derivatives by pitch and roll (2, 3)."""
    s, c, sr, cr = np.sin(camera[0]), np.cos(camera[0]), np.sin(camera[1]), np.cos(camera[1])
    return np.array([-s, c * sr, c * cr]), np.array([[-c, -s * sr, -s * cr], [0.0, c * cr, -c * sr]])
