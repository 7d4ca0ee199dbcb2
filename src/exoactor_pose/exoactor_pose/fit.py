"""One fit of SMPL-X parameters over all frames of a clip to the landmarks seen in it.

Unknown are the pose and place of the body in every frame (cubic splines in time), its shape, and the camera's pitch
and height above the floor. Wanted are small errors of the landmarks in the picture (robust), of the directions of the
limbs in space, joints inside their range, little acceleration, and feet that stand still on the floor where they
touch it. With a known focal length, a flat floor and a fixed camera, the feet's pixels on the floor tell the path.

Sources: the terms are those of SMPLify (Bogo et al., ECCV 2016) and SMPLify-X (Pavlakos et al., CVPR 2019), with
contacts as in Rempe et al., "HuMoR" (ICCV 2021).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, median_filter
from scipy.spatial.transform import Rotation
from smplx.lbs import batch_rigid_transform, batch_rodrigues

from exoactor.body import BodyModel
from exoactor.motion import HumanMotion
from exoactor.stages import Progress, no_progress
from exoactor_pose.anatomy import JOINT_MASSES, LANDMARK_TRUST, SEGMENTS, SOLE_JOINTS, joint_ranges, landmark_points
from exoactor_pose.camera import Camera
from exoactor_pose.initial import initial_pose
from exoactor_pose.landmarks import Landmarks
from exoactor_pose.spline import Spline

BODY_JOINTS = 22
SHAPES = 10


@dataclass(frozen=True)
class Weights:
    """Spreads (one standard deviation) of the terms of the fit, and how long it works."""

    image: float = 0.025
    """m at the person's distance, per landmark of full trust."""
    direction: float = 0.25
    """rad, direction of a limb in space."""
    acceleration: float = 12.0
    """m/s^2, of a joint."""
    slide: float = 0.03
    """m/s, of a sole point in contact."""
    floor: float = 0.01
    """m, height of a sole point in contact, or depth of any sole point under the floor."""
    airborne: float = 0.05
    """m, height of the lowest sole point; robust, since people jump."""
    balance: float = 0.08
    """m, centre of mass from the middle of the sole points in contact, on the ground; robust."""
    usual_pitch: float = 0.1
    """rad: a third-person camera looks down a little."""
    pitch: float = 0.06
    """rad, camera pitch about the usual one; landmarks in space lean by more than this."""
    stature: float = 0.005
    """m."""
    shape: float = 1.0
    knot_seconds: float = 0.085
    iterations: tuple[int, int] = (120, 120)
    """Before and after the contacts are known."""


@dataclass(frozen=True)
class Fit:
    """The fitted motion (floor z = 0, starts at x = y = 0 facing +x) and how well it fits."""

    motion: HumanMotion
    camera: Camera
    reprojection: np.ndarray
    """(T,) mean error of the trusted landmarks, px; 0 where no person was found."""


def fit(
    seen: Landmarks,
    camera: Camera,
    body: BodyModel,
    person_height: float = 1.70,
    weights: Weights | None = None,
    progress: Progress = no_progress,
) -> Fit:
    """Fit the body to the landmarks.

    Parameters
    ----------
    seen
        Landmarks of T frames, the person found in at least one.
    camera
        Its focal lengths and centre count; pitch and height are where the fit starts.
    person_height
        m; sets the scale of everything, since a picture cannot tell it.
    """
    with _one_thread():
        return _Problem(seen, camera, body, person_height, weights or Weights()).solve(progress)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small tensors: more threads cost more than they give."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.asarray(array), dtype=torch.float32)


def _robust(x: torch.Tensor, scale: float = 2.0) -> torch.Tensor:
    """Pseudo-Huber: x^2 when small, growing like |x| beyond ``scale``."""
    return 2 * scale**2 * (torch.sqrt(1 + (x / scale) ** 2) - 1)


def _outlier(x: torch.Tensor) -> torch.Tensor:
    """Geman-McClure: x^2 when small, at most 1."""
    return x**2 / (1 + x**2)


class _Problem:
    def __init__(self, seen: Landmarks, camera: Camera, body: BodyModel, height: float, weights: Weights) -> None:
        self.seen, self.camera, self.body, self.height, self.weights = seen, camera, body, height, weights
        self.fps, self.frames = seen.fps, len(seen)
        self.spline = Spline(self.frames, max(1.0, weights.knot_seconds * seen.fps))
        trust = LANDMARK_TRUST * np.clip(seen.image[..., 2], 0.05, 1.0) * seen.found[:, None]
        self.trust = _tensor(trust)
        self.pixels = _tensor(seen.image[..., :2])
        self._constants()
        self._start()

    def _constants(self) -> None:
        """Joints, landmarks and soles of the rest pose as linear functions of the shape."""
        shapes = min(SHAPES, self.body.num_betas)
        eye = np.eye(shapes)

        def linear(function) -> tuple[torch.Tensor, torch.Tensor]:
            base = function(np.zeros(shapes))
            return _tensor(base), _tensor(np.stack([function(e) - base for e in eye], axis=-1))

        self.rest = linear(lambda b: self.body.rest_joints(b)[:BODY_JOINTS])
        self.places = linear(lambda b: landmark_points(self.body, b)[1])
        self.carriers = torch.as_tensor(landmark_points(self.body, np.zeros(shapes))[0])
        self.soles = linear(lambda b: self.body.rest_foot_points(b) - self.body.rest_joints(b)[SOLE_JOINTS])
        # The head joint stands at 0.90 of stature in the neutral body, and about so in SMPL-X.
        self.stature = linear(lambda b: (self.body.rest_joints(b)[15, 1] - self.body.rest_foot_points(b)[0, 1]) / 0.90)
        self.parents = torch.as_tensor(self.body.parents[:BODY_JOINTS].copy())
        low, high, spread = (_tensor(a) for a in joint_ranges())
        self.low, self.high, self.spread = low, high, spread
        self.masses = _tensor(JOINT_MASSES)
        self.segments = torch.as_tensor(SEGMENTS)

    def _start(self) -> None:
        """First guess: pose from the directions in space, distance from the size in the picture."""
        seen, found = self.seen, self.seen.found
        count = np.arange(self.frames)
        nearest = np.array([np.flatnonzero(found)[np.argmin(np.abs(np.flatnonzero(found) - k))] for k in count])
        image, world = seen.image[nearest], seen.world[nearest]
        # MediaPipe sees a crop around the person: its directions refer to the ray towards the person, not the axis.
        hips = image[:, 23:25, :2].mean(axis=1)
        ray = np.stack([(hips[:, 0] - self.camera.cx) / self.camera.fx, (hips[:, 1] - self.camera.cy) / self.camera.fy])
        turn = Rotation.from_euler("YX", np.stack([np.arctan(ray[0]), -np.arctan(ray[1])], axis=1))
        in_camera = np.einsum("tij,tkj->tki", turn.as_matrix(), world)
        direction = in_camera[:, SEGMENTS[:, 1]] - in_camera[:, SEGMENTS[:, 0]]
        self.directions = _tensor(direction / np.maximum(np.linalg.norm(direction, axis=-1, keepdims=True), 1e-6))
        pair = LANDMARK_TRUST[SEGMENTS] * np.clip(image[:, SEGMENTS, 2], 0.05, 1.0)
        self.pair_trust = _tensor(pair.min(axis=-1) * found[:, None])

        pitch = self.weights.usual_pitch
        self.camera = replace(self.camera, pitch=pitch, height=0.0)
        self.rotation = _tensor(self.camera.rotation)
        in_world = in_camera @ self.camera.rotation
        root, pose = initial_pose(in_world)
        pelvis = self._first_path(root, pose)
        weight = found.astype(float) + 1e-6

        def knots(values: np.ndarray) -> torch.Tensor:
            flat = values.reshape(self.frames, -1)
            return _tensor(self.spline.fit(flat, weight, stiffness=0.3)).requires_grad_()

        self.root = knots(root[:, :, :2])
        self.pose = knots(pose)
        self.path = knots(pelvis)
        shapes = self.rest[1].shape[-1]
        betas = torch.zeros(shapes)
        betas[0] = (self.height - self.stature[0]) / self.stature[1][0]
        self.betas = betas.requires_grad_()
        # The body is fitted in the frame of this first camera; pitch and height only say where the floor is. So a
        # change of pitch leaves the picture as it is, and the fit finds it soon.
        self.tilt = torch.tensor(0.0).requires_grad_()
        self.camera_height = torch.tensor(0.0).requires_grad_()
        with torch.no_grad():
            lowest = np.percentile(self._body()["soles"][..., 2].amin(dim=1).numpy(), 20)
            self.camera_height -= float(lowest)

    def _first_path(self, root: np.ndarray, pose: np.ndarray) -> np.ndarray:
        """Pelvis (T, 3), camera at the origin, that best puts the landmarks of the first pose onto their pixels."""
        betas = np.zeros(SHAPES)
        betas[0] = float((self.height - self.stature[0]) / self.stature[1][0])
        motion = HumanMotion(
            fps=self.fps,
            transl=np.zeros((self.frames, 3)),
            global_orient=Rotation.from_matrix(root).as_rotvec(),
            body_pose=pose.reshape(self.frames, 63),
            betas=betas,
        )
        rot, pos = self.body.transforms(motion)
        carriers, places = landmark_points(self.body, betas)
        points = pos[:, carriers] - pos[:, :1] + np.einsum("tkij,kj->tki", rot[:, carriers], places)
        p = points @ self.camera.rotation.T
        x = (self.seen.image[..., 0] - self.camera.cx) / self.camera.fx
        y = (self.seen.image[..., 1] - self.camera.cy) / self.camera.fy
        w = self.trust.numpy().astype(float) + 1e-9
        # x (pz + tz) = px + tx and the same for y: linear in t
        one, zero = np.ones_like(x), np.zeros_like(x)
        a = np.concatenate([np.stack([one, zero, -x], -1), np.stack([zero, one, -y], -1)], axis=1)
        b = np.concatenate([x * p[..., 2] - p[..., 0], y * p[..., 2] - p[..., 1]], axis=1)
        w = np.concatenate([w, w], axis=1)
        normal = np.einsum("tki,tk,tkj->tij", a, w, a) + 1e-9 * np.eye(3)
        t = np.linalg.solve(normal, np.einsum("tki,tk,tk->ti", a, w, b)[..., None])[..., 0]
        t[:, 2] = np.clip(t[:, 2], 0.8, 50.0)
        if self.frames > 5:
            t = median_filter(t, size=(5, 1), mode="nearest")
        return t @ self.camera.rotation

    # --- the model ---

    def _body(self) -> dict[str, torch.Tensor]:
        two = self.spline(self.root).reshape(-1, 3, 2)
        x = torch.nn.functional.normalize(two[..., 0], dim=-1)
        y = two[..., 1] - x * (x * two[..., 1]).sum(-1, keepdim=True)
        y = torch.nn.functional.normalize(y, dim=-1)
        root = torch.stack([x, y, torch.cross(x, y, dim=-1)], dim=-1)
        pose = self.spline(self.pose).reshape(-1, BODY_JOINTS - 1, 3)
        local = batch_rodrigues(pose.reshape(-1, 3)).reshape(-1, BODY_JOINTS - 1, 3, 3)
        rest = self.rest[0] + self.rest[1] @ self.betas
        joints, relative = batch_rigid_transform(
            torch.cat([root[:, None], local], dim=1), rest.expand(self.frames, -1, -1), self.parents
        )
        joints = joints - joints[:, :1] + self.spline(self.path)[:, None]
        turned = relative[:, :, :3, :3]

        def attached(carriers: torch.Tensor, places: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
            place = places[0] + places[1] @ self.betas
            return joints[:, carriers] + (turned[:, carriers] @ place[..., None])[..., 0]

        return {
            "root": root,
            "pose": pose,
            "joints": joints,
            "landmarks": attached(self.carriers, self.places),
            "soles": self._world(attached(torch.as_tensor(SOLE_JOINTS), self.soles)),
        }

    def _turn(self) -> torch.Tensor:
        """(3, 3) from the first camera's frame to the world: about y (left) by what the pitch has changed."""
        c, s, zero, one = torch.cos(self.tilt), torch.sin(self.tilt), torch.zeros(()), torch.ones(())
        return torch.stack([torch.stack([c, zero, s]), torch.stack([zero, one, zero]), torch.stack([-s, zero, c])])

    def _world(self, points: torch.Tensor) -> torch.Tensor:
        return points @ self._turn().T + torch.stack([torch.zeros(()), torch.zeros(()), self.camera_height])

    def _loss(self, contacts: torch.Tensor | None) -> torch.Tensor:
        w, fps = self.weights, self.fps
        body = self._body()
        p = body["landmarks"] @ self.rotation.T
        depth = p[..., 2].clamp(min=0.3)
        focal, centre = torch.tensor([self.camera.fx, self.camera.fy]), torch.tensor([self.camera.cx, self.camera.cy])
        # pixels as metres at the person's distance; the distance itself must not shrink the error
        scale = depth.detach()[..., None] / focal
        error = (focal * p[..., :2] / depth[..., None] + centre - self.pixels) * scale
        error = torch.sqrt((error**2).sum(-1) + 1e-12)
        loss = (self.trust * _robust(error / w.image)).sum(1).mean()

        segment = p[:, self.segments[:, 1]] - p[:, self.segments[:, 0]]
        segment = torch.nn.functional.normalize(segment, dim=-1)
        turn = torch.sqrt(((segment - self.directions) ** 2).sum(-1) + 1e-12)
        loss = loss + (self.pair_trust * _robust(turn / w.direction)).sum(1).mean()

        outside = (self.low - body["pose"]).clamp(min=0) + (body["pose"] - self.high).clamp(min=0)
        loss = loss + ((outside / 0.05) ** 2).sum((1, 2)).mean()
        loss = loss + 0.5 * ((body["pose"] / self.spread) ** 2).sum((1, 2)).mean()
        loss = (
            loss
            + 0.01 * ((self.betas[1:] / w.shape) ** 2).sum()
            + ((self.camera.pitch + self.tilt - w.usual_pitch) / w.pitch) ** 2
        )
        stature = self.stature[0] + self.stature[1] @ self.betas
        loss = loss + ((stature - self.height) / w.stature) ** 2

        soles = body["soles"]
        below = (-soles[..., 2]).clamp(min=0) / w.floor
        loss = loss + _robust(below).sum(1).mean()
        lowest = -torch.logsumexp(-soles[..., 2] * 100, dim=1) / 100
        # wide before the contacts are known, so that a floor that starts far off is still drawn to the feet
        airborne = w.airborne if contacts is not None else 4 * w.airborne
        loss = loss + 5 * (airborne / w.airborne) ** 0.5 * _outlier(lowest / airborne).mean()

        if self.frames > 2:
            acceleration = (body["joints"][2:] - 2 * body["joints"][1:-1] + body["joints"][:-2]) * fps**2
            loss = loss + 0.2 * ((acceleration / w.acceleration) ** 2).sum((1, 2)).mean()
        if contacts is not None:
            # Balance: on the whole a standing person's mass is above the feet; this tells the pitch.
            share = contacts.sum(1, keepdim=True)
            support = (contacts[..., None] * soles).sum(1) / share.clamp(min=1e-3)
            mass = self._world((body["joints"] * self.masses[:, None]).sum(1))
            sway = torch.sqrt(((mass - support)[:, :2] ** 2).sum(-1) + 1e-6)
            loss = loss + (share[:, 0].clamp(max=1) * _robust(sway / w.balance, 1.0)).mean()
            loss = loss + (contacts * _robust(soles[..., 2] / w.floor)).sum(1).mean()
            if self.frames > 1:
                velocity = (soles[1:] - soles[:-1]) * fps
                speed = torch.sqrt((velocity**2).sum(-1) + 1e-12)
                both = torch.minimum(contacts[1:], contacts[:-1])
                loss = loss + (both * _robust(speed / w.slide)).sum(1).mean()
        return loss

    # --- the solution ---

    def solve(self, progress: Progress) -> Fit:
        first, second = self.weights.iterations
        total = first + second
        contacts = None
        for start, count, rate in ((0, first, 0.02), (first, second, 0.015)):
            if start:
                contacts = _tensor(self._contacts())
            groups = [
                {"params": [self.root, self.pose], "lr": rate},
                {"params": [self.path], "lr": rate},
                {"params": [self.betas], "lr": rate},
                {"params": [self.tilt], "lr": rate / 2},
                {"params": [self.camera_height], "lr": rate / 2},
            ]
            optimiser = torch.optim.Adam(groups, betas=(0.9, 0.98))
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, count, eta_min=rate / 20)
            for k in range(count):
                if k % 5 == 0:
                    progress((start + k) / total, f"Fitting the body: iteration {start + k} of {total}")
                if start and k == count // 2:
                    contacts = _tensor(self._contacts())
                optimiser.zero_grad()
                self._loss(contacts).backward()
                optimiser.step()
                schedule.step()
        return self._result()

    def _contacts(self) -> np.ndarray:
        """Contacts (T, 4) in [0, 1] of the present motion: low and slow sole points."""
        with torch.no_grad():
            return contacts_of(self._body()["soles"].numpy().astype(float), self.fps)

    def _result(self) -> Fit:
        contacts = self._contacts()
        with torch.no_grad():
            body = {k: v.numpy().astype(np.float64) for k, v in self._body().items()}
            turn, height = self._turn().numpy().astype(np.float64), float(self.camera_height)
        camera = replace(self.camera, pitch=self.camera.pitch + float(self.tilt.detach()), height=height)
        seen = self.seen
        error = np.linalg.norm(self.camera.project(body["landmarks"]) - seen.image[..., :2], axis=-1)
        trust = self.trust.numpy().astype(float)
        reprojection = (error * trust).sum(1) / np.maximum(trust.sum(1), 1e-6)
        # Confidence: how well the person was seen, and how well the body explains it, relative to the size in view.
        height_px = np.ptp(self.camera.project(body["joints"])[..., 1], axis=1)
        visible = (seen.image[:, 11:, 2]).mean(axis=1)
        confidence = seen.found * visible * np.exp(-((reprojection / np.maximum(0.08 * height_px, 1.0)) ** 2))

        pelvis = body["joints"][:, 0] @ turn.T + [0, 0, height]
        pelvis[:, 2] += _lift(-body["soles"][..., 2].min(axis=1))
        root = Rotation.from_matrix(turn @ body["root"])
        ahead = root.apply([0.0, 0.0, 1.0])[: max(1, round(0.2 * self.fps))].mean(axis=0)
        heading = Rotation.from_euler("z", -np.arctan2(ahead[1], ahead[0]))
        pelvis = heading.apply(pelvis - pelvis[0] * [1, 1, 0])
        betas = self.betas.detach().numpy().astype(np.float64)
        motion = HumanMotion(
            fps=self.fps,
            transl=pelvis - self.body.rest_joints(betas)[0],
            global_orient=(heading * root).as_rotvec(),
            body_pose=body["pose"].reshape(self.frames, 63),
            betas=betas,
            contacts=contacts,
            confidence=np.clip(confidence, 0, 1),
        )
        return Fit(motion, camera, np.where(seen.found, reprojection, 0.0))


def contacts_of(soles: np.ndarray, fps: float) -> np.ndarray:
    """Contacts (T, 4) in [0, 1] of sole points (T, 4, 3) m: those that are low and slow, for 0.1 s or more."""
    if len(soles) > 2:
        speed = np.linalg.norm(np.gradient(soles, 1 / fps, axis=0), axis=-1)
    else:
        speed = np.zeros(soles.shape[:2])
    # Low by the lowest point of the frame, not by the floor: a floor that is still a little off must not hide contacts.
    rise = soles[..., 2] - soles[..., 2].min(axis=1, keepdims=True)
    low = 1 / (1 + np.exp(-(0.06 - rise) / 0.01))
    slow = 1 / (1 + np.exp(-(0.40 - speed) / 0.08))
    size = 2 * round(0.05 * fps) + 1
    return median_filter(low * slow, size=(size, 1), mode="nearest")


def _lift(depth: np.ndarray) -> np.ndarray:
    """Smooth lift (T,) m that is nowhere less than the depth of the lowest point under the floor."""
    needed = maximum_filter1d(np.maximum(depth, 0.0), 13, mode="nearest")
    return gaussian_filter1d(needed, 2.0, truncate=3.0, mode="nearest")
