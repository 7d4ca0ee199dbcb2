"""One fit of SMPL-X parameters to the landmarks of all frames of a clip.

The unknowns are the pose and position of the body in every frame, its shape, and the camera's pitch, roll and height
above the floor. The cost comprises errors of the landmarks in the image (robust) and of the directions of the limbs in
space (if the detector provides them), joints outside their range, accelerations and jerks, and motion of the feet on
the floor while they touch it. All frames are solved together by Levenberg's method: a frame is only coupled with its
neighbours, so that the normal equations are a narrow band, and a planted foot fixes the path over any number of frames.

Sources: the terms are those of SMPLify (Bogo et al., ECCV 2016) and SMPLify-X (Pavlakos et al., CVPR 2019), with
contacts as in Rempe et al., "HuMoR" (ICCV 2021); balance by the zero-moment point of a point mass (Kajita et al.,
ICRA 2003).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, median_filter
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits

from exoactor_core.arrays import smoothstep
from exoactor_core.body import BodyModel
from exoactor_core.constants import GRAVITY
from exoactor_core.motion import HumanMotion
from exoactor_core.stages import Progress, no_progress, sub_progress
from exoactor_pose.detection.anatomy import LANDMARK_TRUST, SEGMENTS, joint_ranges
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.fitting.banded import Banded
from exoactor_pose.fitting.camera import Camera
from exoactor_pose.fitting.contacts import contacts_of, fixed_points
from exoactor_pose.fitting.initial import continuous, initial_pose
from exoactor_pose.fitting.left_right_swaps import facing_the_other_way, fix_front_back_flips, fix_left_right_swaps
from exoactor_pose.fitting.lift import lift
from exoactor_pose.fitting.limbs import limb_confidence
from exoactor_pose.fitting.parallel import in_parallel
from exoactor_pose.fitting.skeleton import CAMERA, LANDMARKS, MIXING, VARIABLES, Points, Skeleton, State

USUAL_HEIGHT = 1.70
"""m, of a person of unknown height."""
STANDING, AIRBORNE = 0.03, 0.12
"""m above the lowest sole point below which a sole point stands before a travelling camera, and above the floor from
which nothing stands."""
SWING = 0.3
"""m/s of a sole point from which it counts less and less as standing."""
UNSURE_SHARE = 1 / 3
"""Share of frames facing the other way than the rest, from which the rest may be the wrong ones."""
FOOT_WIDTH = 0.09
"""m, minimum distance between the centre lines of two feet: a foot is 0.10 m wide at the ball, 0.07 at the heel (Gordon
et al., "ANSUR II", 2014)."""
LEAN_SECONDS = 1.0
"""s in which a body that continues an earlier fit adapts to the new vertical."""
CHUNK = 64
"""Number of frames whose derivatives are held at a time."""
COMPARISON_RATE, COMPARISON_ITERATIONS = 7.5, (4, 4)
"""Hz, at which a step takes about half a second; and iterations of fits that are only compared by cost, which converges
long before the body."""


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


@dataclass(frozen=True)
class PreviousFit:
    """The result of an earlier fit of the first frames, from which the fit continues.

    The first ``settled`` frames are kept; further ones in ``state`` are only an initial guess. Shape and orientation of
    the camera continue to be estimated, including the evidence of the settled frames.
    """

    state: State
    settled: int
    position: np.ndarray
    """(3,) m, pelvis of the last settled frame in the world..."""
    orientation: np.ndarray
    """...and (3, 3) its rotation."""
    common: Common


@dataclass(frozen=True)
class Fit:
    """The fitted motion (floor z = 0, starting at x = y = 0 facing +x) and its quality."""

    motion: HumanMotion
    camera: Camera
    reprojection: np.ndarray
    """(T,) mean error of the trusted landmarks, px; 0 if no person was found."""
    state: State
    height_px: float
    """Height of the person in view, px, median of the frames."""
    swapped_frames: int = 0
    """Number of frames in which left and right, or near and far, were corrected."""
    seen: Landmarks | None = None
    """The corrected landmarks; without the camera's rotation if the motion is likelier without."""
    cost: float = 0.0
    """Remaining cost."""
    information: np.ndarray | None = None
    """(N, N) information about the common variables, if another fit is to continue: see `Common`."""


def fit(
    seen: Landmarks,
    camera: Camera,
    body: BodyModel,
    person_height: float = USUAL_HEIGHT,
    weights: Weights | None = None,
    progress: Progress = no_progress,
    previous: PreviousFit | None = None,
    goes_on: bool = False,
) -> Fit:
    """Fit the body to the landmarks.

    Parameters
    ----------
    seen
        Landmarks of T frames with the person found in at least one; those in space may be missing.
    camera
        Its focal lengths and centre are used; pitch and height are initial values.
    person_height
        m; sets the overall scale, which an image does not show.
    previous
        The earlier fit of the first frames; ``seen.camera_rotation`` then counts from the camera of the first fit.
    goes_on
        Whether another fit will continue from this one.
    """
    # If single frames are ambiguous, the likelier motion decides.
    turned, turned_frames = fix_front_back_flips(seen)
    readings = [fix_left_right_swaps(seen)]
    if turned_frames:
        ways = [(turned, turned_frames)]
        if turned_frames > UNSURE_SHARE * seen.found.sum():
            ways.append((facing_the_other_way(turned), len(seen) - turned_frames))
        for way, flipped in ways:
            reading, swapped_frames = fix_left_right_swaps(way)
            readings.append((reading, flipped + swapped_frames))
    if seen.camera_travels and seen.camera_rotation is not None and not previous:
        # A travelling background looks much like that of a turning camera.
        readings += [(replace(reading, camera_rotation=None), count) for reading, count in readings]

    weights = weights or Weights()

    def solve(readings: list[tuple[Landmarks, int]], weights: Weights, progress: Progress) -> list[Fit]:
        def one(reading: Landmarks, swapped_frames: int, progress: Progress) -> Fit:
            problem = _Problem(reading, camera, body, person_height, weights, previous)
            result = problem.solve(progress)
            information = problem.information() if goes_on else None
            return replace(result, swapped_frames=swapped_frames, seen=reading, information=information)

        return in_parallel([partial(one, *reading) for reading in readings], progress)

    step = 1 if previous else max(1, round(seen.fps / COMPARISON_RATE))
    with threadpool_limits(1, user_api="blas"):  # blocks are small: more threads would only wait for each other
        if len(readings) > 1 and step > 1 and seen.found[::step].any():
            few = [(reading.every(step), count) for reading, count in readings]
            compared = solve(few, replace(weights, iterations=COMPARISON_ITERATIONS), sub_progress(progress, 0.0, 0.2))
            readings = [readings[int(np.argmin([result.cost for result in compared]))]]
            progress = sub_progress(progress, 0.2, 1.0)
        return min(solve(readings, weights, progress), key=lambda result: result.cost)


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


class _Problem:
    def __init__(
        self,
        seen: Landmarks,
        camera: Camera,
        body: BodyModel,
        height: float,
        weights: Weights,
        previous: PreviousFit | None,
    ) -> None:
        self.seen, self.body, self.height, self.weights = seen, body, height, weights
        self.fps, self.frames = seen.fps, len(seen)
        self.skeleton = Skeleton(body)
        self.trust = LANDMARK_TRUST * np.clip(seen.image[..., 2], 0.05, 1.0) * seen.found[:, None]
        low, high, spread = (a.ravel() @ np.abs(MIXING) for a in joint_ranges())
        shared = np.abs(MIXING).sum(0)  # joints that share a variable have similar ranges
        self.low, self.high = low / shared, high / shared
        self.pull = shared * (shared / spread) ** 2 / 2
        w = self.weights
        sizes = (3, 3, MIXING.shape[1])
        self.smooth = {
            order: np.repeat(spread, sizes) / self.fps**order for order, spread in ((2, w.acceleration), (3, w.jerk))
        }
        # The state's frame looks along the first camera, and is level if that camera has the usual pitch.
        self.camera = replace(camera, pitch=w.usual_pitch, height=0.0)
        turns = np.eye(3)[None] if seen.camera_rotation is None else seen.camera_rotation
        self.views = np.broadcast_to(turns @ self.camera.rotation, (self.frames, 3, 3))
        focal, centre = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
        self.rays = (seen.image[..., :2] - centre) / focal
        self.travel = np.zeros((self.frames, 3))
        self.fixed = np.zeros((self.frames, 4))
        self.cost = np.inf
        self.previous = previous
        self.settled = previous.settled if previous else 0
        self._looks = max(1.0, (self.frames - self.settled) / w.prior_frames)
        self._start()

    def _start(self) -> None:
        """Initial guess: pose from the directions in space, distance from the size in the image."""
        seen, found = self.seen, np.flatnonzero(self.seen.found)
        count = np.arange(self.frames)
        after = np.clip(np.searchsorted(found, count), 0, len(found) - 1)
        before = np.maximum(after - 1, 0)
        nearest = np.where(np.abs(found[before] - count) < np.abs(found[after] - count), found[before], found[after])
        image = seen.image[nearest]
        if seen.world is not None:
            world = seen.world[nearest]
        else:
            # The initial guess is close enough for the image alone; its directions are no evidence.
            rest = self.skeleton.rest_landmarks(self.skeleton.shape_for(self.height))
            world = lift(np.concatenate([self.rays[nearest], image[..., 2:]], axis=-1), rest, self.fps)
        # MediaPipe sees a crop around the person: its directions are relative to the ray to the person, not to the
        # axis.
        ray = self.rays[nearest, 23:25].mean(axis=1)
        turn = Rotation.from_euler("YX", np.stack([np.arctan(ray[:, 0]), -np.arctan(ray[:, 1])], axis=1)).as_matrix()
        space = np.einsum("tji,tjk,tmk->tmi", self.views[nearest], turn, world)
        direction = space[:, SEGMENTS[:, 1]] - space[:, SEGMENTS[:, 0]]
        self.directions = direction / np.maximum(np.linalg.norm(direction, axis=-1, keepdims=True), 1e-6)
        self.pair_trust = (LANDMARK_TRUST[SEGMENTS] * np.clip(image[:, SEGMENTS, 2], 0.05, 1.0)).min(axis=-1)
        self.pair_trust = self.pair_trust * (seen.found[:, None] & (seen.world is not None))

        root, axis_angles = initial_pose(space)
        if self.previous:
            settled = self.previous.state
            axis_angles[: len(settled.path)] = settled.axis_angles().reshape(-1, 21, 3)
            axis_angles = continuous(axis_angles)
        pose = axis_angles.reshape(self.frames, -1) @ MIXING / np.abs(MIXING).sum(0)
        betas = self.skeleton.shape_for(self.height)
        state = State(np.zeros((self.frames, 3)), root, pose, betas, np.array([0.0, 0.0, 0.0, 1.0]))
        points = self.skeleton.points(state, derivatives=False).positions
        state.path = self._first_path(points[:, :LANDMARKS])[nearest]
        state.camera[2] = -np.percentile((points[:, LANDMARKS:] + state.path[:, None])[..., 2].min(axis=1), 20)
        if self.previous:
            known = len(settled.path)
            state.path[:known], state.root[:known], state.pose[:known] = settled.path, settled.root, settled.pose
            state.betas, state.camera = settled.betas.copy(), settled.camera.copy()
        self.state = state

    def _first_path(self, points: np.ndarray) -> np.ndarray:
        """Pelvis (T, 3) that best projects the landmarks (T, 33, 3), relative to the pelvis, onto their pixels."""
        p = points @ np.swapaxes(self.views, 1, 2)
        x, y = self.rays[..., 0], self.rays[..., 1]
        w = np.concatenate([self.trust, self.trust], axis=1) + 1e-9
        # x (pz + tz) = px + tx and the same for y: linear in t
        one, zero = np.ones_like(x), np.zeros_like(x)
        a = np.concatenate([np.stack([one, zero, -x], -1), np.stack([zero, one, -y], -1)], axis=1)
        b = np.concatenate([x * p[..., 2] - p[..., 0], y * p[..., 2] - p[..., 1]], axis=1)
        normal = np.einsum("tki,tk,tkj->tij", a, w, a) + 1e-9 * np.eye(3)
        t = np.linalg.solve(normal, np.einsum("tki,tk,tk->ti", a, w, b)[..., None])[..., 0]
        t[:, 2] = np.clip(t[:, 2], 0.8, 50.0)
        if self.frames > 5:
            t = median_filter(t, size=(5, 1), mode="nearest")
        return (t[:, None] @ self.views)[:, 0]

    # --- the terms ---

    def _equations(self, state: State, contacts: np.ndarray | None) -> tuple[float, Banded]:
        """Cost and normal equations of a step from ``state``."""
        equations = Banded(self.frames, VARIABLES, self.skeleton.shapes + CAMERA)
        cost = self._priors(state, equations) + self._smoothness(state, equations)
        sway = None if contacts is None else self._inertia(state)
        for start in range(self.settled, self.frames, CHUNK):
            frames = slice(start, min(start + CHUNK, self.frames))
            behind = slice(max(start - 1, 0), frames.stop)
            points = self.skeleton.points(state.part(behind))
            own = points.part(slice(start - behind.start, None))
            cost += self._frame_terms(state, own, frames, contacts, sway, equations)
            if contacts is not None:
                cost += self._planted(points, behind, self.fixed, equations)
        if self.previous:
            known = self.previous.common
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
        outside = (pose - self.high).clip(min=0) + (pose - self.low).clip(max=0)
        stiff = np.where(outside != 0, 1 / 0.05**2, 0.0)
        equations.band[:, 6:, 0] += stiff + self.pull
        equations.gradient[:, 6:] += stiff * outside + self.pull * pose
        cost = float((stiff * outside**2 + self.pull * pose**2).sum())

        shapes, looks = self.skeleton.shapes, self._looks
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
        equations.corner += looks * (rows.T * weight) @ rows
        equations.common_gradient += looks * (rows.T * weight) @ error
        return cost + looks * float(loss.sum())

    def _smoothness(self, state: State, equations: Banded) -> float:
        """Acceleration and jerk of the pelvis and of the joints' axis-angles."""
        cost = 0.0
        turn = Rotation.from_matrix(state.root[1:] @ np.swapaxes(state.root[:-1], 1, 2)).as_rotvec()
        for order, spread in self.smooth.items():
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
        mass = self._points(state)[2]
        if self.frames < 3:
            return np.zeros_like(mass)
        smooth = gaussian_filter1d(mass, 0.08 * self.fps, axis=0, mode="nearest")
        acceleration = np.gradient(np.gradient(smooth, axis=0), axis=0) * self.fps**2
        return -0.55 * self.height / GRAVITY * acceleration

    def _frame_terms(
        self,
        state: State,
        points: Points,
        frames: slice,
        contacts: np.ndarray | None,
        sway: np.ndarray | None,
        equations: Banded,
    ) -> float:
        """Terms of single frames: landmarks, directions, heights of the soles, balance."""
        rows = _Rows(self.skeleton.shapes)
        self._image_terms(rows, state, points, frames)
        self._direction_terms(rows, points, frames)
        self._sole_terms(rows, state, points, None if contacts is None else contacts[frames])
        self._overlap_terms(rows, points)
        if contacts is not None and sway is not None:
            self._balance_terms(rows, state, points, contacts[frames], sway[frames])
        rows.add_to(equations, frames)
        return rows.cost

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
        look = (view[..., :2, :] - (p[..., :2] / depth)[..., None] * view[..., 2:, :]).astype(np.float32)
        camera = {3: -(look @ travelled)[..., 0]}
        rows.add(error, look @ points.by_variable[at], look @ points.by_shape[at], camera, weight)

    def _direction_terms(self, rows: _Rows, points: Points, frames: slice) -> None:
        """Directions of the limbs in space."""
        w = self.weights
        segment, by_variable, by_shape = (
            values[:, SEGMENTS[:, 1]] - values[:, SEGMENTS[:, 0]]
            for values in (points.positions, points.by_variable, points.by_shape)
        )
        length = np.linalg.norm(segment, axis=-1, keepdims=True).clip(min=1e-6)
        segment = segment / length
        error = segment - self.directions[frames]
        loss, weight = _huber(np.linalg.norm(error, axis=-1) / w.direction)
        rows.cost += float((self.pair_trust[frames] * loss).sum())
        weight = np.repeat(self.pair_trust[frames] * weight / w.direction**2, 3, axis=1)
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

    def _planted(self, points: Points, frames: slice, fixed: np.ndarray, equations: Banded) -> float:
        """Fixed sole points do not move from frame to frame."""
        pairs = frames.stop - frames.start - 1
        if pairs < 1:
            return 0.0
        here, ahead = slice(frames.start, frames.stop - 1), slice(frames.start + 1, frames.stop)
        slide = self.slide / self.fps
        soles = points.positions[:, LANDMARKS:]
        moved = soles[1:] - soles[:-1]
        both = np.minimum(fixed[here], fixed[ahead])
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

    # --- the solution ---

    def solve(self, progress: Progress) -> Fit:
        """Fit before and after the contacts are known."""
        first, second = self.weights.iterations
        done, total = 0, first + second

        def report_step() -> None:
            nonlocal done
            progress(min(done / total, 1.0), f"Fitting the body: step {done + 1} of {total}")
            done += 1

        self._descend(None, first, report_step)
        for count, slide in ((second - second // 2, self.weights.slide), (second // 2, self.weights.locked)):
            self.slide = slide
            if self.seen.camera_travels and not self.previous:
                self._follow_camera()
            soles = self._soles()
            contacts = contacts_of(soles, self.fps)
            self.fixed = fixed_points(soles, contacts, self.fps)
            self._descend(contacts, count, report_step)
        return self._result()

    def _descend(self, contacts: np.ndarray | None, iterations: int, report_step: Callable[[], None]) -> None:
        """Levenberg's method: steps that lower the cost, with more damping after one that did not."""
        damping, cost = 1e-3, np.inf
        equations: Banded | None = None
        state = self.state
        for left in reversed(range(iterations + 1)):
            report_step()
            now, system = self._equations(state, contacts)
            if now < cost:
                settled = cost - now < 1e-4 * now
                self.state, self.cost, cost, equations = state, now, now, system
                damping = max(damping / 5, 1e-6)
                if settled or not left:
                    break
            else:
                damping *= 20
            del system  # 100 MB for a long video
            assert equations is not None  # the first cost is finite
            step = equations.solve(damping)
            while step is None and damping < 1e6:
                damping *= 20
                step = equations.solve(damping)
            if step is None:
                break
            state = self.state.moved(*step)

    def _follow_camera(self) -> None:
        """Estimate the camera's path, and the person's with it, from feet that stand on the floor."""
        travel = self.state.camera[3] * self.travel
        soles = self._soles()
        moved = np.diff(soles - (travel @ self.state.level().T)[:, None], axis=0) * [1.0, 1.0, 0.0]
        rise = soles[..., 2] - soles[..., 2].min(axis=1, keepdims=True)
        low = np.exp(-((rise / STANDING) ** 2)) * (soles[..., 2].min(axis=1, keepdims=True) < AIRBORNE)
        low = np.minimum(low[1:], low[:-1])
        step = np.zeros((self.frames - 1, 3))
        for _ in range(20):  # swinging feet are outliers: Cauchy weights, starting from what moves least
            away = np.linalg.norm(moved + step[:, None], axis=-1) * self.fps / SWING
            weight = (low / (1 + away**2))[..., None]
            total, share = (
                gaussian_filter1d(each.sum(axis=1), 0.15 * self.fps, axis=0, mode="nearest")
                for each in (weight * moved, weight)
            )
            step = -total / (share + 1e-6)
        path = np.concatenate([np.zeros((1, 3)), np.cumsum(step, axis=0)]) @ self.state.level()
        self.state.path = self.state.path - travel + path
        self.state.camera[3], self.travel = 1.0, path

    def _soles(self) -> np.ndarray:
        """(T, 4, 3) m in the world."""
        return self._points(self.state)[0][:, LANDMARKS:] @ self.state.level().T + [0.0, 0.0, self.state.camera[2]]

    def _points(self, state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Landmarks and soles (T, 37, 3), joints (T, 22, 3), centre of mass (T, 3)."""
        starts = range(0, self.frames, CHUNK)
        parts = [self.skeleton.points(state.part(slice(k, k + CHUNK)), derivatives=False) for k in starts]
        positions, joints, mass = zip(*((p.positions, p.joints, p.mass) for p in parts), strict=True)
        return np.concatenate(positions), np.concatenate(joints), np.concatenate(mass)

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        """(T, K, 2) of points (T, K, 3) in the frame of reference."""
        p = (points - self.state.camera[3] * self.travel[:, None]) @ np.swapaxes(self.views, 1, 2)
        camera = self.camera
        return p[..., :2] / p[..., 2:].clip(min=0.1) * [camera.fx, camera.fy] + [camera.cx, camera.cy]

    def _result(self) -> Fit:
        seen, state = self.seen, self.state
        soles = self._soles()
        contacts = contacts_of(soles, self.fps)
        positions, joints, _ = self._points(state)
        camera = self.camera.tilted(state.level(), float(state.camera[2]))
        error = np.linalg.norm(self._pixels(positions[:, :LANDMARKS]) - seen.image[..., :2], axis=-1)
        reprojection = (error * self.trust).sum(1) / np.maximum(self.trust.sum(1), 1e-6)
        # Confidence: visibility of the person, and how well the body explains it, relative to the size in view.
        height_px = np.ptp(self._pixels(joints)[..., 1], axis=1)
        visible = (seen.image[:, 11:, 2]).mean(axis=1)
        confidence = seen.found * visible * np.exp(-((reprojection / np.maximum(0.08 * height_px, 1.0)) ** 2))

        level = state.level()
        pelvis = joints[:, 0] @ level.T + [0, 0, state.camera[2]]
        pelvis[:, 2] += _lift(-soles[..., 2].min(axis=1))
        root = Rotation.from_matrix(level @ state.root)
        if self.previous:
            pelvis, root = self._gone_on(self.previous, pelvis, root)
        else:
            ahead = root.apply([0.0, 0.0, 1.0])[: max(1, round(0.2 * self.fps))].mean(axis=0)
            heading = Rotation.from_euler("z", -np.arctan2(ahead[1], ahead[0]))
            pelvis, root = heading.apply(pelvis - [*pelvis[0, :2], 0.0]), heading * root
        motion = HumanMotion(
            fps=self.fps,
            transl=pelvis - self.body.rest_joints(state.betas)[0],
            global_orient=root.as_rotvec(),
            body_pose=state.axis_angles(),
            betas=state.betas,
            contacts=contacts,
            confidence=np.clip(confidence, 0, 1),
            limb_confidence=limb_confidence(seen, error, height_px),
        )
        in_view = float(np.median(height_px[seen.found]))
        reprojection = np.where(seen.found, reprojection, 0.0)
        return Fit(motion, camera, reprojection, state, in_view, cost=self.cost)

    def information(self) -> np.ndarray:
        """(N, N) information about the common variables: see `Common`."""
        _, equations = self._equations(self.state, contacts_of(self._soles(), self.fps))
        known = self.previous.common.information if self.previous else 0.0
        return equations.information() - known

    def _gone_on(self, previous: PreviousFit, pelvis: np.ndarray, root: Rotation) -> tuple[np.ndarray, Rotation]:
        """Pelvis (T, 3) and its rotations in the world of an earlier fit, continuing from its last settled frame.

        The vertical may have changed meanwhile: the body adapts to it.
        """
        last = self.settled - 1
        turn = Rotation.from_matrix(previous.orientation) * root[last].inv()
        heading = Rotation.from_euler("z", 2 * np.arctan2(*turn.as_quat()[2:]))
        lean = (turn * heading.inv()).as_rotvec()
        left = smoothstep(1 - (np.arange(self.frames) - last) / (LEAN_SECONDS * self.fps))[:, None]
        start = heading.apply(pelvis[last])
        away = previous.position - start
        pelvis = heading.apply(pelvis) + away * np.where([True, True, False], 1.0, left)
        return pelvis, Rotation.from_rotvec(left * lean) * heading * root


def _up(camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The world's z axis in the frame of reference (3,), and its derivatives by pitch and roll (2, 3)."""
    s, c, sr, cr = np.sin(camera[0]), np.cos(camera[0]), np.sin(camera[1]), np.cos(camera[1])
    return np.array([-s, c * sr, c * cr]), np.array([[-c, -s * sr, -s * cr], [0.0, c * cr, -c * sr]])


def _lift(depth: np.ndarray) -> np.ndarray:
    """Smooth lift (T,) m that is nowhere less than the depth of the lowest point below the floor."""
    needed = maximum_filter1d(np.maximum(depth, 0.0), 13, mode="nearest")
    return gaussian_filter1d(needed, 2.0, truncate=3.0, mode="nearest")
