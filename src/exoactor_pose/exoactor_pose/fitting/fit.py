"""One fit of SMPL-X parameters to the landmarks of all frames of a clip.

The unknowns are the pose and position of the body in every frame, its shape, and the camera's pitch, roll and height
above the floor; the cost is the sum of `Terms`. All frames are solved together by Levenberg's method: a frame is only
coupled with its neighbours, so that the normal equations are a narrow band, and a planted foot fixes the path over any
number of frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, median_filter
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits

from exoactor_core.arrays import smoothstep
from exoactor_core.body import BodyModel
from exoactor_core.motion import HumanMotion
from exoactor_core.stages import Progress, no_progress, sub_progress
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.fitting.banded import Banded
from exoactor_pose.fitting.camera import Camera
from exoactor_pose.fitting.contacts import contacts_of, fixed_points
from exoactor_pose.fitting.initial import continuous, initial_pose
from exoactor_pose.fitting.left_right_swaps import (
    facing_the_other_way,
    fix_front_back_flips,
    fix_left_right_swaps,
    fix_mirrored_limbs,
)
from exoactor_pose.fitting.lift import lift
from exoactor_pose.fitting.limbs import limb_confidence
from exoactor_pose.fitting.parallel import in_parallel
from exoactor_pose.fitting.skeleton import LANDMARKS, MIXING, State
from exoactor_pose.fitting.terms import Common, Terms, Weights
from exoactor_pose.origin import path_at_origin

USUAL_HEIGHT = 1.70
"""m, of a person of unknown height."""
STANDING, AIRBORNE = 0.03, 0.12
"""m above the lowest sole point below which a sole point stands before a travelling camera, and above the floor from
which nothing stands."""
SWING = 0.3
"""m/s of a sole point from which it counts less and less as standing."""
UNSURE_SHARE = 1 / 3
"""Share of frames facing the other way than the rest, from which the rest may be the wrong ones."""
LEAN_SECONDS = 1.0
"""s in which a body that continues an earlier fit adapts to the new vertical."""
COMPARISON_RATE, COMPARISON_ITERATIONS = 7.5, (4, 4)
"""Hz, at which a step takes about half a second; and iterations of fits that are only compared by cost, which converges
long before the body."""


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
    seen: Landmarks
    """The corrected landmarks; without the camera's rotation if the motion is likelier without."""
    swapped_frames: int = 0
    """Number of frames in which left and right, or near and far, were corrected."""
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
    """Fit the body to the landmarks; if they may be read in several ways, the one that costs least decides.

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
    weights, readings = weights or Weights(), _readings(seen)
    if seen.camera_travels and seen.camera_rotation is not None and not previous:
        # A travelling background looks much like that of a turning camera.
        readings += [(replace(reading, camera_rotation=None), count) for reading, count in readings]

    def solve(readings: list[tuple[Landmarks, int]], weights: Weights, progress: Progress) -> list[Fit]:
        def one(reading: Landmarks, swapped_frames: int, progress: Progress) -> Fit:
            problem = _Problem(reading, camera, body, person_height, weights, previous)
            result = problem.solve(progress)
            information = problem.information() if goes_on else None
            return replace(result, swapped_frames=swapped_frames, information=information)

        return in_parallel([partial(one, *reading) for reading in readings], progress)

    step = 1 if previous else max(1, round(seen.fps / COMPARISON_RATE))
    with threadpool_limits(1, user_api="blas"):  # blocks are small: more threads would only wait for each other
        if len(readings) > 1 and step > 1 and seen.found[::step].any():
            few = [(reading.every(step), count) for reading, count in readings]
            compared = solve(few, replace(weights, iterations=COMPARISON_ITERATIONS), sub_progress(progress, 0.0, 0.2))
            readings = [readings[int(np.argmin([result.cost for result in compared]))]]
            progress = sub_progress(progress, 0.2, 1.0)
        return min(solve(readings, weights, progress), key=lambda result: result.cost)


def _readings(seen: Landmarks) -> list[tuple[Landmarks, int]]:
    """The landmarks in every way in which ambiguous frames may be read, and the number of frames read differently."""
    ways, readings = [(seen, 0)], list[tuple[Landmarks, int]]()
    turned, turned_frames = fix_front_back_flips(seen)
    if turned_frames:
        ways.append((turned, turned_frames))
        if turned_frames > UNSURE_SHARE * seen.found.sum():
            ways.append((facing_the_other_way(turned), len(seen) - turned_frames))
    for way, flipped in ways:
        reading, swapped_frames = fix_left_right_swaps(way)
        readings.append((reading, flipped + swapped_frames))
        reading, mirrored_frames = fix_mirrored_limbs(reading)
        if mirrored_frames:
            readings.append((reading, flipped + swapped_frames + mirrored_frames))
    return readings


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
        self.seen, self.body, self.weights, self.previous = seen, body, weights, previous
        self.fps, self.frames = seen.fps, len(seen)
        earlier = (previous.common, previous.settled) if previous else (None, 0)
        self.terms = Terms(seen, camera, body, height, weights, *earlier)
        self.cost = np.inf
        self._start()

    def _start(self) -> None:
        """Initial guess: pose from the directions in space, distance from the size in the image."""
        seen, terms, found = self.seen, self.terms, np.flatnonzero(self.seen.found)
        nearest = found[np.searchsorted((found[:-1] + found[1:]) / 2, np.arange(self.frames), side="right")]
        image = seen.image[nearest]
        if seen.world is not None:
            world = seen.world[nearest]
        else:
            # The initial guess is close enough for the image alone; its directions are no evidence.
            rest = terms.skeleton.rest_landmarks(terms.skeleton.shape_for(terms.height))
            world = lift(np.concatenate([terms.rays[nearest], image[..., 2:]], axis=-1), rest, self.fps)
        # MediaPipe sees a crop around the person: its directions are relative to the ray to the person, not to the
        # axis.
        ray = terms.rays[nearest, 23:25].mean(axis=1)
        turn = Rotation.from_euler("YX", np.stack([np.arctan(ray[:, 0]), -np.arctan(ray[:, 1])], axis=1)).as_matrix()
        space = np.einsum("tji,tjk,tmk->tmi", terms.views[nearest], turn, world)
        if seen.world is not None:
            terms.set_directions(space)

        root, axis_angles = initial_pose(space)
        if self.previous:
            settled = self.previous.state
            axis_angles[: len(settled.path)] = settled.axis_angles().reshape(-1, 21, 3)
            axis_angles = continuous(axis_angles)
        pose = axis_angles.reshape(self.frames, -1) @ MIXING / np.abs(MIXING).sum(0)
        betas = terms.skeleton.shape_for(terms.height)
        state = State(np.zeros((self.frames, 3)), root, pose, betas, np.array([0.0, 0.0, 0.0, 1.0]))
        points = terms.skeleton.points(state, derivatives=False).positions
        state.path = self._first_path(points[:, :LANDMARKS])[nearest]
        state.camera[2] = -np.percentile((points[:, LANDMARKS:] + state.path[:, None])[..., 2].min(axis=1), 20)
        if self.previous:
            known = len(settled.path)
            state.path[:known], state.root[:known], state.pose[:known] = settled.path, settled.root, settled.pose
            state.betas, state.camera = settled.betas.copy(), settled.camera.copy()
        self.state = state

    def _first_path(self, points: np.ndarray) -> np.ndarray:
        """Pelvis (T, 3) that best projects the landmarks (T, 33, 3), relative to the pelvis, onto their pixels."""
        p = points @ np.swapaxes(self.terms.views, 1, 2)
        x, y = self.terms.rays[..., 0], self.terms.rays[..., 1]
        w = np.concatenate([self.terms.trust, self.terms.trust], axis=1) + 1e-9
        # x (pz + tz) = px + tx and the same for y: linear in t
        one, zero = np.ones_like(x), np.zeros_like(x)
        a = np.concatenate([np.stack([one, zero, -x], -1), np.stack([zero, one, -y], -1)], axis=1)
        b = np.concatenate([x * p[..., 2] - p[..., 0], y * p[..., 2] - p[..., 1]], axis=1)
        normal = np.einsum("tki,tk,tkj->tij", a, w, a) + 1e-9 * np.eye(3)
        t = np.linalg.solve(normal, np.einsum("tki,tk,tk->ti", a, w, b)[..., None])[..., 0]
        t[:, 2] = np.clip(t[:, 2], 0.8, 50.0)
        if self.frames > 5:
            t = median_filter(t, size=(5, 1), mode="nearest")
        return (t[:, None] @ self.terms.views)[:, 0]

    def solve(self, progress: Progress) -> Fit:
        """Fit before and after the contacts are known."""
        first, second = self.weights.iterations
        done, total = 0, first + second

        def report_step() -> None:
            nonlocal done
            progress(min(done / total, 1.0), f"Fitting the body: step {min(done + 1, total)} of {total}")
            done += 1

        self._descend(None, first, report_step)
        for count, slide in ((second - second // 2, self.weights.slide), (second // 2, self.weights.locked)):
            self.terms.slide = slide
            if self.seen.camera_travels and not self.previous:
                self._follow_camera()
            soles = self._soles()
            contacts = contacts_of(soles, self.fps)
            self.terms.fixed = fixed_points(soles, contacts, self.fps)
            self._descend(contacts, count, report_step)
        return self._result()

    def _descend(self, contacts: np.ndarray | None, iterations: int, report_step: Callable[[], None]) -> None:
        """Levenberg's method: steps that lower the cost, with more damping after one that did not."""
        damping, cost = 1e-3, np.inf
        equations: Banded | None = None
        state = self.state
        for left in reversed(range(iterations + 1)):
            report_step()
            now, system = self.terms.equations(state, contacts)
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
            state = self.state.moved(*step[:2])

    def _follow_camera(self) -> None:
        """Estimate the camera's path, and the person's with it, from feet that stand on the floor."""
        travel = self.state.camera[3] * self.terms.travel
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
        self.state.camera[3], self.terms.travel = 1.0, path

    def _soles(self) -> np.ndarray:
        """(T, 4, 3) m in the world."""
        return self.terms.points(self.state)[0][:, LANDMARKS:] @ self.state.level().T + [0.0, 0.0, self.state.camera[2]]

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        """(T, K, 2) of points (T, K, 3) in the frame of reference."""
        p = (points - self.state.camera[3] * self.terms.travel[:, None]) @ np.swapaxes(self.terms.views, 1, 2)
        camera = self.terms.camera
        return p[..., :2] / p[..., 2:].clip(min=0.1) * [camera.fx, camera.fy] + [camera.cx, camera.cy]

    def _result(self) -> Fit:
        seen, state = self.seen, self.state
        soles = self._soles()
        contacts = contacts_of(soles, self.fps)
        positions, joints, _ = self.terms.points(state)
        camera = self.terms.camera.tilted(state.level(), float(state.camera[2]))
        error = np.linalg.norm(self._pixels(positions[:, :LANDMARKS]) - seen.image[..., :2], axis=-1)
        reprojection = (error * self.terms.trust).sum(1) / np.maximum(self.terms.trust.sum(1), 1e-6)
        # Confidence: visibility of the person, and how well the body explains it, relative to the size in view.
        height_px = np.ptp(self._pixels(joints)[..., 1], axis=1)
        visible = (seen.image[:, 11:, 2]).mean(axis=1)
        confidence = seen.found * visible * np.exp(-((reprojection / np.maximum(0.08 * height_px, 1.0)) ** 2))

        level = state.level()
        pelvis = joints[:, 0] @ level.T + [0, 0, state.camera[2]]
        pelvis[:, 2] += _lift(-soles[..., 2].min(axis=1))
        root = Rotation.from_matrix(level @ state.root)
        if self.previous:
            pelvis, root = self._continued(self.previous, pelvis, root)
        else:
            pelvis, root = path_at_origin(pelvis, root, self.fps)
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
        return Fit(motion, camera, reprojection, state, in_view, seen, cost=self.cost)

    def information(self) -> np.ndarray:
        """(N, N) information about the common variables: see `Common`."""
        _, equations = self.terms.equations(self.state, contacts_of(self._soles(), self.fps))
        solution = equations.solve(damping=0.0)
        found = np.zeros_like(equations.corner) if solution is None else solution[2]
        return found - (self.previous.common.information if self.previous else 0.0)

    def _continued(self, previous: PreviousFit, pelvis: np.ndarray, root: Rotation) -> tuple[np.ndarray, Rotation]:
        """Pelvis (T, 3) and its rotations in the world of an earlier fit, continuing from its last settled frame.

        The vertical may have changed meanwhile: the body adapts to it.
        """
        last = previous.settled - 1
        turn = Rotation.from_matrix(previous.orientation) * root[last].inv()
        heading = Rotation.from_euler("z", 2 * np.arctan2(*turn.as_quat()[2:]))
        lean = (turn * heading.inv()).as_rotvec()
        left = smoothstep(1 - (np.arange(self.frames) - last) / (LEAN_SECONDS * self.fps))[:, None]
        start = heading.apply(pelvis[last])
        away = previous.position - start
        pelvis = heading.apply(pelvis) + away * np.where([True, True, False], 1.0, left)
        return pelvis, Rotation.from_rotvec(left * lean) * heading * root


def _lift(depth: np.ndarray) -> np.ndarray:
    """Smooth lift (T,) m that is nowhere less than the depth of the lowest point below the floor."""
    needed = maximum_filter1d(np.maximum(depth, 0.0), 13, mode="nearest")
    return gaussian_filter1d(needed, 2.0, truncate=3.0, mode="nearest")
