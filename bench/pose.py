"""How exact is the estimated motion? Ten generated clips (five tasks, two cameras) against the generator's own truth.

Prints one JSON object. Errors over SMPL-X's 22 body joints:

- ``pa_mpjpe_mm``: after the best rotation, scale and shift of every frame.
- ``mpjpe_mm``: pelvis to pelvis in every frame, after one turn about the vertical for the whole clip (the camera's
  heading is unknown, so the least-squares turn is taken); gravity and scale count.
- ``path_length_error``: of the pelvis on the ground, relative; only clips whose path is longer than half a metre.
- ``end_position_error_m``: pelvis on the ground in the last frame, started together, after the same turn.
- ``baseline_*``: MediaPipe's own world landmarks of the same run, camera taken as level, against the 14 joints that
  they name (hips, knees, ankles, shoulders, elbows, wrists, toes); ``*_14`` are the fit's figures on these joints.

    .venv/bin/python bench/pose.py [--clips FOLDER]      FOLDER keeps the generated clips for the next run
"""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy.spatial.transform import Rotation

from exoactor.body import BODY_JOINT_NAMES, BodyModel
from exoactor.motion import HumanMotion
from exoactor.stages import GenerateRequest, load_backend
from exoactor.video import Video
from exoactor_pose.landmarks import detect

TASKS = (
    "walk forward two metres",
    "wave with your right hand",
    "squat twice",
    "turn left 90 degrees, then walk one metre",
    "kick with your right leg, then raise both arms",
)
CAMERAS = ("three_quarter", "side")

_PAIRS = (("hip", 23), ("knee", 25), ("ankle", 27), ("shoulder", 11), ("elbow", 13), ("wrist", 15), ("foot", 31))
NAMED = np.array([BODY_JOINT_NAMES.index(f"{s}_{j}") for j, _ in _PAIRS for s in ("left", "right")])
LANDMARKS = np.array([k + i for _, k in _PAIRS for i in (0, 1)])
CAMERA_TO_WORLD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def procrustes_error(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(T,) mean distance after the best similarity of each frame; (T, J, 3) each."""
    a, b = found - found.mean(1, keepdims=True), truth - truth.mean(1, keepdims=True)
    u, s, vt = np.linalg.svd(np.swapaxes(a, 1, 2) @ b)
    sign = np.sign(np.linalg.det(u @ vt))
    fix = np.stack([np.ones_like(sign), np.ones_like(sign), sign], axis=1)
    rotation = (u * fix[:, None]) @ vt
    scale = (s * fix).sum(1) / np.maximum((a**2).sum((1, 2)), 1e-12)
    return np.linalg.norm(scale[:, None, None] * (a @ rotation) - b, axis=-1).mean(1)


def best_turn(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(3, 3) turn about z that best takes ``found`` to ``truth``, (T, J, 3) each, root-relative."""
    x, y = found[..., 0], found[..., 1]
    u, v = truth[..., 0], truth[..., 1]
    return Rotation.from_euler("z", np.arctan2((x * v - y * u).sum(), (x * u + y * v).sum())).as_matrix()


def ground_path(root: np.ndarray, fps: float) -> float:
    """Length of the pelvis' way on the ground, m, from samples 0.1 s apart (so that jitter does not count)."""
    return float(np.linalg.norm(np.diff(root[:: max(1, round(fps / 10)), :2], axis=0), axis=-1).sum())


def judge(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """PA-MPJPE and root-relative MPJPE in mm of (T, J, 3) joints, each with its centre given as joint 0."""
    a, b = found - found[:, :1], truth - truth[:, :1]
    error = np.linalg.norm(a @ best_turn(a, b).T - b, axis=-1)
    return {"pa_mpjpe_mm": 1000 * procrustes_error(found, truth).mean(), "mpjpe_mm": 1000 * error.mean()}


def with_middle(points: np.ndarray) -> np.ndarray:
    """Put the middle of the first two points (the hips) in front, as the root."""
    return np.concatenate([points[:, :2].mean(axis=1, keepdims=True), points], axis=1)


def measure(video: Video, truth: HumanMotion, estimator, body: BodyModel) -> dict[str, float]:
    """All figures of one clip."""
    began = time.perf_counter()
    estimate = estimator(video)
    seconds = time.perf_counter() - began
    found, wanted = body.joints(estimate.motion)[:, :22], body.joints(truth)[:, :22]
    frames = min(len(found), len(wanted))
    found, wanted = found[:frames], wanted[:frames]
    figures = judge(found, wanted)

    turn = best_turn(found - found[:, :1], wanted - wanted[:, :1])
    end = turn @ (found[-1, 0] - found[0, 0]) - (wanted[-1, 0] - wanted[0, 0])
    path, true_path = ground_path(found[:, 0], truth.fps), ground_path(wanted[:, 0], truth.fps)
    figures |= {
        "path_length_m": path,
        "true_path_length_m": true_path,
        "path_length_error": abs(path - true_path) / true_path if true_path > 0.5 else None,
        "end_position_error_m": float(np.linalg.norm(end[:2])),
        "foot_skate_mm_per_frame": estimate.metrics["foot_skate_mm_per_frame"],
        "contact_agreement": float(
            ((estimate.motion.contacts[:frames] > 0.5) == (truth.contacts[:frames] > 0.5)).mean()
        ),
        "ground_penetration_mm_max": estimate.metrics["ground_penetration_mm_max"],
        "reprojection_px_mean": estimate.metrics["reprojection_px_mean"],
        "found_share": estimate.metrics["found_share"],
        "seconds_per_second": seconds / video.duration,
    }
    seen = detect(video)
    raw = (seen.world @ CAMERA_TO_WORLD.T)[:frames, LANDMARKS]
    named = with_middle(wanted[:, NAMED])
    figures |= {f"{k}_14": v for k, v in judge(with_middle(found[:, NAMED]), named).items()}
    figures |= {f"baseline_{k}": v for k, v in judge(with_middle(raw), named).items()}
    return figures


def clip(task: str, camera: str, seed: int, folder: Path | None) -> tuple[Video, HumanMotion]:
    """Generate a clip, or take it from ``folder``."""
    path = folder and folder / f"{seed}-{camera}"
    if path and path.with_suffix(".mp4").is_file():
        return Video.load(path.with_suffix(".mp4")), HumanMotion.load(path.with_suffix(".npz"))
    made = load_backend("generate", "mannequin", camera=camera, seed=seed)(GenerateRequest(task))
    if path:
        made.truth.save(path.with_suffix(".npz"))
        made.video.save(path.with_suffix(".mp4"))
    return made.video, made.truth


def main(clips: Annotated[str, typer.Option(help="Folder that keeps the generated clips.")] = "") -> None:
    folder = Path(clips) if clips else None
    body, estimator = BodyModel.load(), load_backend("estimate", "mediapipe")
    results = []
    for number, task in enumerate(TASKS):
        for k, camera in enumerate(CAMERAS):
            seed = 10 * number + k
            video, truth = clip(task, camera, seed, folder)
            figures = measure(video, truth, estimator, body)
            rounded = {k: None if v is None else round(float(v), 4) for k, v in figures.items()}
            results.append({"task": task, "camera": camera, "seed": seed} | rounded)
    keys = [k for k in results[0] if k not in ("task", "camera", "seed")]
    known = {k: [r[k] for r in results if r[k] is not None] for k in keys}
    overall = {k: round(float(np.mean(v)), 4) for k, v in known.items() if v}
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    print(json.dumps({"overall": overall, "clips": results, "machine": machine}, indent=2))


if __name__ == "__main__":
    typer.run(main)
