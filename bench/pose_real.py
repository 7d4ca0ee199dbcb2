"""Accuracy of the estimated motion of real people. Prints one JSON object, and a table on stderr.

Uses videos of the shared data (its README names their sources); absent ones are skipped with a message.

- ``four_cameras``: one person in front of four calibrated, synchronised cameras. The truth is triangulated here from
  MediaPipe's landmarks in all four images (its own Python API, the best installed model; iteratively reweighted
  linear triangulation), independently of the fit. Then the video of each camera alone is estimated with nothing else
  given. Over the 12 common joints (shoulders, elbows, wrists, hips, knees, ankles): ``pa_mpjpe_mm``; ``mpjpe_mm``,
  relative to the middle of the hips in the world's frame, after one rotation about the vertical; ``gravity_deg``, angle
  between the verticals after the best rotation of the whole clip; ``path_error_m``, mean distance of the hips' middle
  on the ground, after that rotation and with aligned starts; ``walked_m`` of the truth. ``baseline_*``: MediaPipe's own
  world landmarks, full model, of that camera, which is assumed to be level.
- ``walker``: net distance of a person who walks parallel to the image plane in front of a still camera, stature 1.65 m.
  The truth is from the image: the hips' path in px, by the px per metre of the stature. Once with nothing given, once
  with the stature.
- ``vault``: length of the path of a generated man whom the camera follows, about 4.8 m by the block, 1 m high.
- ``accepted``: for every video whether there is a motion, or why not, and seconds per second of video.

With --rehearse every accepted motion, of all stretches, is retargeted and tracked by the G1 in MuJoCo, slower if it
fails (``pace``); ``full_pace_share`` counts those that succeed at full speed.

    .venv/bin/python bench/pose_real.py [--rehearse] [-s person_height=1.65]
"""

from __future__ import annotations

import json
import os
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from joint_errors import CAMERA_TO_WORLD, JOINTS, LANDMARKS, MACHINE, best_turn, ground_path, procrustes_error, say
from scipy.ndimage import median_filter
from scipy.spatial.transform import Rotation

from exoactor_core.body import BodyModel
from exoactor_core.errors import ExoActorError
from exoactor_core.motion import HumanMotion
from exoactor_core.stages import Estimate, load_backend
from exoactor_core.video import Video
from exoactor_pose.detection.mediapipe_graphs import modules_folder, quiet_stderr

DATA = Path(os.environ.get("EXOACTOR_DATA", Path(__file__).parents[2] / "shared" / "data")) / "videos"
VIDEOS = {
    **{f"cam0{k}": f"p2s_single_cam0{k}.mp4" for k in (1, 2, 3, 4)},
    "walker": "sports2d_demo.mp4",
    "vault": "vault_over_block_720p24.mp4",
    "juggling": "sam2_juggle.mp4",
    "jump_from_wall": "vbench_walking.mp4",
    "exercise": "felix_exercise.avi",
}
TARGETS = {"pa_mpjpe_mm": 50, "mpjpe_mm": 90, "gravity_deg": 4, "path_error_m": 0.08}
VAULT_M, WALKER_STATURE_M = 4.8, 1.65
EYES_TO_HEEL = 0.92
"""Height of the ears above the heels as a share of stature (Drillis and Contini, 1966: the eyes at 0.936)."""
ROBUST_PX = 40.0
"""Reprojection error beyond which the weight of a view in the triangulation decreases."""


# --- the truth ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CalibratedCamera:
    """A pinhole camera with Brown's distortion; world z up, m."""

    intrinsics: np.ndarray
    """(3, 3)."""
    distortion: np.ndarray
    """(5,) in OpenCV's order."""
    projection: np.ndarray
    """(3, 4) projection from the world to the normalised image."""


def calibration(path: Path) -> list[CalibratedCamera]:
    """Read Qualisys' format: intrinsics in 1/64 px, mm, camera axes y up and z backward."""
    cameras = []
    for camera in ElementTree.parse(path).getroot().iter("camera"):
        pose, lens = ({k: v for k, v in camera.find(name).attrib.items()} for name in ("transform", "intrinsic"))
        turn = np.diag([1.0, -1.0, -1.0]) @ [[float(pose[f"r{a}{b}"]) for b in (1, 2, 3)] for a in (1, 2, 3)]
        place = np.array([float(pose[k]) for k in "xyz"]) / 1000
        fx, fy, cx, cy = (float(lens[k]) / 64 for k in ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV"))
        names = (
            "radialDistortion1",
            "radialDistortion2",
            "tangentalDistortion1",
            "tangentalDistortion2",
            "radialDistortion3",
        )
        cameras.append(
            CalibratedCamera(
                np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
                np.array([float(lens[k]) for k in names]),
                np.concatenate([turn, -turn @ place[:, None]], axis=1),
            )
        )
    return cameras


def mediapipe_landmarks(video: Video, complexity: int) -> tuple[np.ndarray, np.ndarray]:
    """MediaPipe's landmarks by its own API: (T, 33, 2) px and (T, 33, 3) m in the camera's axes; NaN if missing."""
    with quiet_stderr():
        from mediapipe.python.solutions.pose import Pose

        found = []
        with Pose(model_complexity=complexity) as pose:
            for frame in video.frames():
                got = pose.process(frame)
                points = [got.pose_landmarks, got.pose_world_landmarks]
                found.append(
                    [np.full((33, 3), np.nan) if p is None else [(q.x, q.y, q.z) for q in p.landmark] for p in points]
                )
    both = np.array(found)
    return both[:, 0, :, :2] * [video.width, video.height], both[:, 1]


def triangulate(cameras: list[CalibratedCamera], pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangulate points (T, J, 3) m from pixels (C, T, J, 2); also returns their errors in px (C, T, J)."""
    rays = np.stack(
        [
            cv2.undistortPoints(px.reshape(-1, 1, 2), c.intrinsics, c.distortion).reshape(px.shape)
            for c, px in zip(cameras, pixels, strict=True)
        ]
    )
    projection = np.stack([c.projection for c in cameras])
    focal = np.array([c.intrinsics[0, 0] for c in cameras])[:, None, None]
    rows = rays[..., None] * projection[:, None, None, None, 2] - projection[:, None, None, :2]
    weight = np.ones(rays.shape[:-1])
    for _ in range(20):
        normal = np.einsum("ctjka,ctj,ctjkb->tjab", rows, weight, rows)
        points = -np.linalg.solve(normal[..., :3, :3], normal[..., :3, 3:])[..., 0]
        seen = np.einsum("cab,tjb->ctja", projection[..., :3], points) + projection[:, None, None, :, 3]
        error = focal * np.linalg.norm(seen[..., :2] / seen[..., 2:] - rays, axis=-1)
        weight = 1 / ((1 + (error / ROBUST_PX) ** 2) * seen[..., 2] ** 2)
    return points, error


# --- figures ------------------------------------------------------------------------------------------------------


def errors(found: np.ndarray, truth: np.ndarray, fps: float | None = None) -> dict[str, float]:
    """Errors of joints (T, 12, 3) m, hips first, in z-up worlds of any heading; errors of the path only with fps."""
    a, b = found - found[:, :2].mean(1, keepdims=True), truth - truth[:, :2].mean(1, keepdims=True)
    turn = best_turn(a, b)
    whole = Rotation.align_vectors(b.reshape(-1, 3), a.reshape(-1, 3))[0].as_matrix()
    figures = {
        "pa_mpjpe_mm": 1000 * float(procrustes_error(found, truth).mean()),
        "mpjpe_mm": 1000 * float(np.linalg.norm(a @ turn.T - b, axis=-1).mean()),
        "gravity_deg": float(np.degrees(np.arccos(np.clip(whole[2, 2], -1, 1)))),
    }
    if fps:
        hips, wanted = found[:, :2].mean(1), truth[:, :2].mean(1)
        away = (hips - hips[0]) @ turn.T - (wanted - wanted[0])
        figures |= {
            "path_error_m": float(np.linalg.norm(away[:, :2], axis=-1).mean()),
            "walked_m": ground_path(wanted, fps),
        }
    return figures


# --- the videos ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """Result for a video."""

    video: Video
    estimate: Estimate | None
    summary: dict[str, Any]

    def frames(self) -> np.ndarray:
        """(T,) numbers of the nearest video frames."""
        motion = self.estimate.motion
        times = self.estimate.metrics.get("start_s", 0.0) + np.arange(len(motion)) / motion.fps
        return np.clip(np.round(times * self.video.fps).astype(int), 0, self.video.frame_count - 1)


def estimate(name: str, options: dict[str, Any]) -> Result:
    """Estimate the motion in a video with nothing else given."""
    video = Video.load(DATA / VIDEOS[name])
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        got, summary = load_backend("estimate", "mediapipe", **options)(video), {"accepted": True}
    except ExoActorError as error:
        got, summary = None, {"accepted": False, "reason": str(error)}
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    summary |= {"wall_per_second": round(wall / video.duration, 3), "cpu_per_second": round(cpu / video.duration, 3)}
    if got:
        metrics = {k: v for k, v in got.metrics.items() if k.startswith("camera_") or k in ("landmark_model", "notes")}
        summary |= {"seconds": round(len(got.motion) / got.motion.fps, 2), "of": round(video.duration, 2), **metrics}
    say(f"{name}: {summary.get('reason') or summary.get('notes') or 'accepted'}")
    return Result(video, got, summary)


def four_cameras(results: dict[str, Result], body: BodyModel) -> dict[str, Any]:
    """The figures of each camera, and their means."""
    names = [name for name in results if name.startswith("cam")]
    cameras = calibration(DATA / "p2s_single_calibration.qca.txt")
    best = 2 if (modules_folder() / "pose_landmark" / "pose_landmark_heavy.tflite").is_file() else 1
    seen = {name: mediapipe_landmarks(results[name].video, best)[0][:, LANDMARKS[:12]] for name in names}
    truth, error = triangulate(cameras, np.nan_to_num(np.stack(list(seen.values()))))
    truth = median_filter(truth, size=(5, 1, 1), mode="nearest")
    figures: dict[str, Any] = {}
    for name in names:
        result = results[name]
        world = mediapipe_landmarks(result.video, 1)[1][:, LANDMARKS[:12]] @ CAMERA_TO_WORLD.T
        baseline = errors(np.nan_to_num(world), truth)
        figures[name] = {f"baseline_{k}": v for k, v in baseline.items()}
        if result.estimate:
            joints = body.joints(result.estimate.motion)[:, JOINTS[:12]]
            figures[name] |= errors(joints, truth[result.frames()], result.estimate.motion.fps)
    rows = list(figures.values())
    keys = dict.fromkeys(k for row in rows for k in row)
    mean = {k: float(np.mean([row[k] for row in rows if k in row])) for k in keys}
    return {
        "mean": mean,
        **figures,
        "truth": {
            "model_complexity": best,
            "error_px_mean": float(error.mean()),
            "error_px_median": float(np.median(error)),
        },
    }


def walker(result: Result, body: BodyModel) -> dict[str, Any]:
    """Net distance between the first and the last frame of the motion."""
    if not result.estimate:
        return {"refused": result.summary["reason"]}
    root, numbers = body.joints(result.estimate.motion)[:, 0], result.frames()
    image = result.estimate.keypoints[numbers]
    there = np.flatnonzero(image[:, 23, 2] > 0.5)
    first, last = there[0], there[-1]
    ears, heels, hips = (image[..., k, :2].mean(1) for k in ([7, 8], [29, 30], [23, 24]))
    height = np.percentile((heels - ears)[there, 1], 80)
    true = float(np.linalg.norm(hips[last] - hips[first]) * EYES_TO_HEEL * WALKER_STATURE_M / height)
    found = float(np.linalg.norm(root[last, :2] - root[first, :2]))
    return {
        "from_s": numbers[first] / result.video.fps,
        "to_s": numbers[last] / result.video.fps,
        "true_m": true,
        "found_m": found,
        "error": found / true - 1,
    }


def vault(result: Result, body: BodyModel) -> dict[str, Any]:
    """Length of the path."""
    if not result.estimate:
        return {"refused": result.summary["reason"]}
    found = ground_path(body.joints(result.estimate.motion)[:, 0], result.estimate.motion.fps)
    return {"about_m": VAULT_M, "found_m": found, "error": found / VAULT_M - 1}


def rehearse(motion: HumanMotion, policy: str) -> dict[str, Any]:
    """Whether the G1 tracks a motion, and whether it falls."""
    from exoactor_control.rehearsal.rehearsal import Rehearsal

    try:
        robot = load_backend("retarget", "trajectory_ik")(motion).motion
        metrics = Rehearsal(policy=policy, area=0.0)(robot).metrics
    except ExoActorError as error:
        return {"success": False, "fell": False, "reason": str(error)}
    return {k: metrics[k] for k in ("success", "fell", "pace", "reason", "joint_error_mean") if k in metrics}


def rounded(value: Any) -> Any:
    """The same with floats rounded to four decimals."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return round(float(value), 4) if isinstance(value, (float, np.floating)) else value


def main(
    rehearse_: Annotated[bool, typer.Option("--rehearse", help="Have the G1 track every accepted motion.")] = False,
    policy: Annotated[str, typer.Option(help="Tracker of the rehearsal.")] = "exoactor",
    only: Annotated[list[str] | None, typer.Option(help="Only these videos, by their keys.")] = None,
    option: Annotated[list[str] | None, typer.Option("-s", help="KEY=VALUE, an option of the estimator.")] = None,
) -> None:
    options = {k: _value(v) for k, _, v in (each.partition("=") for each in option or [])}
    body, results = BodyModel.load(), {}
    wanted = [name for name in VIDEOS if not only or any(name.startswith(each) for each in only)]
    missing = [name for name in wanted if not (DATA / VIDEOS[name]).is_file()]
    for name in wanted:
        if name not in missing:
            results[name] = estimate(name, options)
    figures: dict[str, Any] = {"missing": missing, "targets": TARGETS}
    if sum(name.startswith("cam") for name in results) == 4:
        figures["four_cameras"] = four_cameras(results, body)
        say(f"{'':8}" + "".join(f"{k:>14}" for k in TARGETS))
        for name in ("mean", "cam01", "cam02", "cam03", "cam04"):
            say(f"{name:8}" + "".join(f"{figures['four_cameras'][name].get(k, np.nan):14.3g}" for k in TARGETS))
    if "walker" in results:
        figures["walker"] = walker(results["walker"], body)
        given = estimate("walker", options | {"person_height": WALKER_STATURE_M})
        figures["walker_stature_given"] = walker(given, body)
    if "vault" in results:
        figures["vault"] = vault(results["vault"], body)
    accepted = [name for name, result in results.items() if result.estimate]
    figures["accepted"] = {"share": len(accepted) / max(len(results), 1), **{k: r.summary for k, r in results.items()}}
    if rehearse_:
        tracked = {
            f"{name} from {start:.1f} s": rehearse(motion, policy)
            for name in accepted
            for start, motion in results[name].estimate.stretches
        }
        count = max(len(tracked), 1)
        figures["rehearsal"] = {
            "success_share": sum(t["success"] for t in tracked.values()) / count,
            "full_pace_share": sum(t["success"] and t["pace"] == 1.0 for t in tracked.values()) / count,
            "fell_share": sum(t["fell"] for t in tracked.values()) / count,
            **tracked,
        }
    figures["machine"] = MACHINE
    print(json.dumps(rounded(figures), indent=2))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    typer.run(main)
