"""Compare retargeting with a per-frame two-stage IK, on the same motions in the same run. Prints one JSON object.

The baseline (`mink_ik.py`) is configured like GMR, and runs twice: on GMR's targets for the person, at its 30 frames
per second (``gmr``), and on ours at 50 (``mink_on_our_targets``), so that errors on the same targets can be compared.
Five sets of motions: ``generator``, the generator's true motions; ``estimated``, the same ones estimated from its
videos; ``bvh`` and ``dm``, motion capture files; ``reachable``, targets from robot motions by forward kinematics, which
the robot can reach where its links do not collide.

All are evaluated alike, at 50 Hz. Figures of a clip:

- ``frames_per_second``: solved on one core, by process CPU seconds; ours including the computation of targets.
- ``key_body_error_mm``: pelvis, knees, ankles, elbows, wrists against our targets; not for ``gmr``, whose targets
  differ.
- in contact (of the person): ``slide_mm`` per frame, of the soles' middles; ``sole_height_mm``, the farthest corner
  from the floor; ``sole_tilt_deg``. ``sunk_frames`` and ``sunk_mm``: any sole more than 10 mm below the floor, and
  depth.
- ``root_path_error``: of the middle of the hips on the ground, against the person's scaled by leg length, with aligned
  starts; mean distance relative to the path's length, and ``root_path_end`` at the end; paths over 0.5 m only.
- ``start_speed``: maximum joint speed in the first five steps, relative to its limit; ``greatest_speed`` of all.
- ``over_speed_frames``, ``outside_limits_frames``, ``self_penetration_frames`` (more than 2 mm, the description's
  shapes) and ``self_penetration_mm``.
- ``surface_penetration_frames`` (more than 2 mm, Unitree's surfaces, see `surfaces.py`), ``surface_penetration_mm``: of
  all links but those that the SRDF allows to touch; for robot motions also of the originals (``before``).

``ours_streaming`` receives the person frame by frame: ``ms_a_frame`` of CPU per output frame, ``longest_push_ms`` of
one call, ``delay_s`` of the frame that waited longest. Then the cost of longer clips (CPU seconds, memory of a separate
process), people of 1.2 to 2.1 m, and with --track the rehearsals of all of them. ``bars`` lists the requirements on
ours, and whether they are met.

    .venv/bin/pip install -r bench/requirements.txt
    .venv/bin/python bench/retarget.py --output build/retarget --data DATA [--track]
"""

from __future__ import annotations

import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: one core

import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy.spatial.transform import Rotation, Slerp
from surfaces import Surfaces

from exoactor.cli import progress_bars, stderr
from exoactor_core import robot
from exoactor_core.body import BODY_JOINT_NAMES
from exoactor_core.errors import ExoActorError
from exoactor_core.formats import resample_robot
from exoactor_core.motion import HumanMotion, RobotMotion
from exoactor_core.stages import GenerateRequest, Progress, load_backend
from exoactor_gen.mannequin.choreography import choreograph
from exoactor_gen.mannequin.language import parse
from exoactor_pose.importers import load_human
from exoactor_retarget.contacts import ground
from exoactor_retarget.human import posture
from exoactor_retarget.kinematics import State
from exoactor_retarget.model import SIDES
from exoactor_retarget.retargeter import Retargeter, robot_motion_of
from exoactor_retarget.streaming import StreamingRetargeter
from exoactor_retarget.targets import Targets, reached

try:
    import mink_ik
except ExoActorError as error:
    sys.exit(f"retarget.py: {error}")

TASKS = (
    "walk forward two metres",
    "wave with your right hand",
    "squat twice",
    "turn left 90 degrees, then walk one metre",
    "kick with your right leg, then raise both arms",
    "bow, then clap three times",
    "sit down and stand up",
    "walk to the left one metre, then reach up with your left hand",
)
LONG_TASK = "walk forward two metres, then wave with your right hand, then turn left 180 degrees, then squat twice"
LENGTHS = (10, 60, 300)  # s
STATURES = (1.2, 1.35, 1.5, 1.65, 1.8, 1.95, 2.1)  # m
FPS, GMR_FPS = 50.0, 30.0
TOUCH, SUNK, SHORTEST_PATH = 0.002, 0.010, 0.5  # m
_KEY = ("pelvis", *(f"{s}_{n}_link" for s in SIDES for n in ("knee", "ankle_roll", "elbow", "wrist_yaw")))


@dataclass(frozen=True)
class Clip:
    """A motion to retarget: of a person, or of a robot as the source of targets."""

    kind: str
    name: str
    human: HumanMotion | None = None
    reference: RobotMotion | None = None


@dataclass(frozen=True)
class Wanted:
    """Reference of the evaluation: targets of the key bodies, contacts, and the path of the hips' middle."""

    keys: np.ndarray
    """(T, 9, 3) m."""
    counted: np.ndarray
    """(T,) bool: frames with reachable targets."""
    contact: np.ndarray
    """(T, 2) bool."""
    path: np.ndarray | None
    """(T, 2) m."""


# --- ours -------------------------------------------------------------------------------------------------------------


def fit(retargeter: Retargeter, targets: Targets) -> RobotMotion:
    return robot_motion_of(retargeter.fit(targets), targets, retargeter.model)


def stream(retargeter: Retargeter, human: HumanMotion) -> tuple[RobotMotion, dict[str, float]]:
    """Retarget frame by frame; returns the motion, its cost and its delay."""
    streaming, parts, busy, late, out = StreamingRetargeter(retargeter), [], [], 0.0, 0
    for k in range(len(human)):
        begin = time.process_time()
        part = streaming.push(frames_of(human, slice(k, k + 1)))
        busy.append(time.process_time() - begin)
        if part is not None:
            late = max(late, k / human.fps - out / FPS)
            out += len(part)
            parts.append(part)
    rest = streaming.finish()
    parts += [] if rest is None else [rest]
    motion = RobotMotion(
        FPS,
        *(np.concatenate([getattr(p, name) for p in parts]) for name in ("root_pos", "root_quat_wxyz", "joint_pos")),
    )
    return motion, {
        "ms_a_frame": round(1e3 * sum(busy) / len(motion), 3),
        "longest_push_ms": round(1e3 * max(busy), 1),
        "delay_s": round(late, 3),
    }


def frames_of(human: HumanMotion, frames: slice | np.ndarray) -> HumanMotion:
    """Some frames of a person's motion."""
    return HumanMotion(
        human.fps,
        *(getattr(human, name)[frames] for name in ("transl", "global_orient", "body_pose")),
        human.betas,
        *(getattr(human, name)[frames] for name in ("hand_pose", "contacts", "confidence")),
    )


def grounded(retargeter: Retargeter, human: HumanMotion) -> HumanMotion:
    """The person on the floor, as for our targets, with contacts."""
    person = posture(human, retargeter.body, retargeter.mapping["human"])
    lowered = ground(person, retargeter.mapping["contacts"])
    transl = human.transl + (lowered.soles - person.soles)[:, 0]
    return replace(human, transl=transl, contacts=lowered.contacts)


def resample(motion: HumanMotion, fps: float) -> HumanMotion:
    """Resample to another frame rate: orientations by slerp, positions linearly, contacts of the nearest frame."""
    old = np.arange(len(motion)) / motion.fps
    new = np.minimum(np.arange(int(np.floor(old[-1] * fps + 1e-6)) + 1) / fps, old[-1])
    nearest = np.clip(np.rint(new * motion.fps).astype(int), 0, len(old) - 1)
    turns = np.concatenate([motion.global_orient, motion.body_pose], axis=1).reshape(len(old), -1, 3)
    turned = np.stack(
        [Slerp(old, Rotation.from_rotvec(turns[:, k]))(new).as_rotvec() for k in range(turns.shape[1])], axis=1
    )
    return HumanMotion(
        fps,
        np.stack([np.interp(new, old, column) for column in motion.transl.T], axis=1),
        turned[:, 0],
        turned[:, 1:].reshape(len(new), -1),
        motion.betas,
        contacts=motion.contacts[nearest],
    )


def gmr_targets(retargeter: Retargeter, human: HumanMotion) -> tuple[float, np.ndarray, np.ndarray]:
    """Targets of the baseline, at its own rate, with the person on the floor."""
    return GMR_FPS, *mink_ik.human_targets(grounded(retargeter, resample(human, GMR_FPS)), retargeter.body)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def targets_of_robot(motion: RobotMotion, retargeter: Retargeter) -> Targets:
    """Targets that the robot can reach exactly, without planted feet."""
    turns = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True).as_matrix()
    state = State(motion.root_pos, turns, motion.joint_pos)
    return reached(state, np.zeros((len(motion), 2), dtype=bool), motion.fps, retargeter.model)


# --- the same targets for the baseline, and for the judge -------------------------------------------------------------


def _rest(names: Sequence[str]) -> np.ndarray:
    return robot.forward_kinematics(robot.standing_motion(), names)[0]


def link_positions(targets: Targets, retargeter: Retargeter) -> dict[str, np.ndarray]:
    """Positions of the robot's links by our targets, (T, 3) m each; shoulders are fixed to the torso as in standing."""
    g1 = retargeter.model
    out = {"pelvis": targets.pelvis_pos}
    pelvis, torso, *_ = _rest(["pelvis", "torso_link"])
    out["torso_link"] = targets.pelvis_pos + targets.pelvis_rot @ (torso - pelvis)
    for k, side in enumerate(SIDES):
        hip, knee, shoulder, yaw, pitch, hand = _rest(
            [
                f"{side}_{n}_link"
                for n in ("hip_roll", "knee", "shoulder_roll", "shoulder_yaw", "wrist_pitch", "wrist_yaw")
            ]
        )
        out[f"{side}_hip_roll_link"] = targets.pelvis_pos + targets.pelvis_rot @ g1.hips[k]
        out[f"{side}_knee_link"] = out[f"{side}_hip_roll_link"] + np.linalg.norm(knee - hip) * targets.thigh[:, k]
        out[f"{side}_ankle_roll_link"] = targets.foot_pos[:, k]
        out[f"{side}_toe_link"] = targets.foot_pos[:, k] + targets.foot_rot[:, k] @ [0.1, 0.0, -0.02]
        at = out["torso_link"] + targets.torso_rot @ (shoulder - torso)
        out[f"{side}_shoulder_yaw_link"] = at + np.linalg.norm(yaw - shoulder) * targets.upper_arm[:, k]
        out[f"{side}_elbow_link"] = at + g1.upper_arm * targets.upper_arm[:, k]
        wrist = out[f"{side}_elbow_link"] + g1.forearm * targets.forearm[:, k]
        out[f"{side}_wrist_yaw_link"] = wrist + targets.hand_rot[:, k] @ [np.linalg.norm(hand - pitch), 0.0, 0.0]
    return out


def part_of(motion: RobotMotion, frames: int) -> RobotMotion:
    """The first frames of a motion."""
    return RobotMotion(motion.fps, motion.root_pos[:frames], motion.root_quat_wxyz[:frames], motion.joint_pos[:frames])


def hips_middle(motion: RobotMotion) -> np.ndarray:
    """(T, 2) m."""
    return robot.forward_kinematics(motion, [f"{s}_hip_roll_link" for s in SIDES]).mean(axis=1)[:, :2]


def scaled_path(human: HumanMotion, retargeter: Retargeter) -> np.ndarray:
    """The person's path on the ground, scaled by leg length, (T, 2) m."""
    body = retargeter.body
    rest = body.rest_joints(human.betas)
    hips, ankles = ([BODY_JOINT_NAMES.index(f"{s}_{j}") for s in SIDES] for j in ("hip", "ankle"))
    leg = np.mean(rest[hips, 1] - rest[ankles, 1])
    return retargeter.model.leg / leg * body.joints(human)[:, hips].mean(axis=1)[:, :2]


# --- the judge --------------------------------------------------------------------------------------------------------


def judge(motion: RobotMotion, wanted: Wanted, same_targets: bool) -> dict[str, Any]:
    """Figures of one retargeted clip, see the top; None for those that cannot be measured."""
    t = len(motion)  # with another rate it may end a frame earlier
    soles, contact = robot.sole_points(motion), wanted.contact[:t]
    both = contact[1:] & contact[:-1]
    slide = np.linalg.norm(np.diff(soles.mean(axis=2)[..., :2], axis=0), axis=-1)[both]
    height = np.abs(soles[..., 2]).max(axis=-1)[contact]
    heel, toe = soles[:, :, :2].mean(axis=2), soles[:, :, 2:].mean(axis=2)
    left, right = soles[:, :, ::2].mean(axis=2), soles[:, :, 1::2].mean(axis=2)
    normal = _unit(np.cross(toe - heel, left - right))
    tilt = np.degrees(np.arccos(np.clip(normal[..., 2], -1.0, 1.0)))[contact]
    lowest = soles[..., 2].min(axis=(1, 2))
    speed = (np.abs(np.diff(motion.joint_pos, axis=0)) * motion.fps / robot.VELOCITY_LIMITS).max(axis=1, initial=0.0)
    low, high = robot.JOINT_LIMITS.T
    outside = ((motion.joint_pos < low - 1e-6) | (motion.joint_pos > high + 1e-6)).any(axis=1)
    depth, _ = robot.self_collision_depth(motion)
    error = np.linalg.norm(robot.forward_kinematics(motion, _KEY) - wanted.keys[:t], axis=-1)[wanted.counted[:t]]

    def figure(values: np.ndarray, reduce: Callable[[np.ndarray], float], scale: float = 1.0) -> float | None:
        return round(scale * float(reduce(values)), 4) if values.size else None

    out: dict[str, Any] = {
        "frames": len(motion),
        "key_body_error_mm": figure(error, np.mean, 1e3) if same_targets else None,
        "slide_mm": figure(slide, np.mean, 1e3),
        "slide_mm_max": figure(slide, np.max, 1e3),
        "sole_height_mm": figure(height, np.mean, 1e3),
        "sole_height_mm_max": figure(height, np.max, 1e3),
        "sole_tilt_deg": figure(tilt, np.mean),
        "sole_tilt_deg_max": figure(tilt, np.max),
        "sunk_frames": int((lowest < -SUNK).sum()),
        "sunk_mm": figure(np.maximum(-lowest, 0.0), np.max, 1e3),
        "root_path_error": None,
        "root_path_end": None,
        "start_speed": figure(speed[:5], np.max),
        "greatest_speed": figure(speed, np.max),
        "over_speed_frames": int((speed > 1.0).sum()),
        "outside_limits_frames": int(outside.sum()),
        "self_penetration_frames": int((depth > TOUCH).sum()),
        "self_penetration_mm": figure(depth, np.max, 1e3),
    }
    if wanted.path is not None:
        length = float(np.linalg.norm(np.diff(wanted.path, axis=0), axis=1).sum())
        if length > SHORTEST_PATH:
            path, target = hips_middle(motion), wanted.path[:t]
            away = np.linalg.norm((path - path[0]) - (target - target[0]), axis=1) / length
            out |= {"root_path_error": figure(away, np.mean), "root_path_end": figure(away[-1:], np.mean)}
    return out


SUMS = (
    "frames",
    "sunk_frames",
    "over_speed_frames",
    "outside_limits_frames",
    "self_penetration_frames",
    "refused",
    "surface_penetration_frames",
)
GREATEST = (
    "longest_push_ms",
    "delay_s",
    "sunk_mm",
    "start_speed",
    "greatest_speed",
    "self_penetration_mm",
    "surface_penetration_mm",
)


def summary(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Figures of a set: sums of counts, maxima of limited quantities, otherwise means over clips."""
    rows = list(rows)
    out: dict[str, Any] = {"clips": len(rows)}
    for key in dict.fromkeys(key for row in rows for key in row):
        values = [row[key] for row in rows if isinstance(row.get(key), int | float)]
        if key in SUMS:
            out[key] = int(sum(values))
        elif values:
            out[key] = round(float(np.max(values) if key in GREATEST or key.endswith("_max") else np.mean(values)), 4)
    if rows:
        out["frames_per_second"] = round(
            out["frames"] / sum(row["frames"] / row["frames_per_second"] for row in rows), 1
        )
    return out


def of_surfaces(motion: RobotMotion, surfaces: Surfaces | None) -> dict[str, Any]:
    """Frames of a motion in which links penetrate each other by their surfaces, and the depth."""
    if surfaces is None:
        return {}
    depth = surfaces.penetration(motion).max(axis=1)
    return {
        "surface_penetration_frames": int((depth > TOUCH).sum()),
        "surface_penetration_mm": round(1e3 * float(depth.max()), 1),
    }


def compare(
    clip: Clip, retargeter: Retargeter, progress: Progress, surfaces: Surfaces | None = None
) -> tuple[dict[str, Any], dict[str, RobotMotion]]:
    """Retarget one clip with every method; returns figures and motions by name."""
    motions: dict[str, RobotMotion] = {}
    speeds: dict[str, dict[str, float]] = {}

    ik = {name: mink_ik.MinkIK() for name in ("gmr", "mink_on_our_targets")}

    def timed(name: str, make: Callable[[], RobotMotion]) -> None:
        progress(len(motions) / 3, f"{clip.name}: {name}")
        begin = time.process_time()
        made = make()
        speeds[name] = {"frames_per_second": round(len(made) / max(time.process_time() - begin, 1e-9), 1)}
        if name in ik:
            speeds[name]["solves_a_frame"] = round(ik[name].solves / len(made), 2)
        motions[name] = resample_robot(made, FPS)

    if clip.human is not None:
        human = resample(clip.human, FPS)
        targets = retargeter.targets(clip.human)
        where = link_positions(targets, retargeter)
        pos = np.stack([where[frame] for frame in mink_ik.FRAMES], axis=1)
        rot = mink_ik.human_rotations(grounded(retargeter, human), retargeter.body)
        rot[:, [0, 1]] = np.stack([targets.pelvis_rot, targets.torso_rot], axis=1)
        for k, side in enumerate(SIDES):
            rot[:, mink_ik.FRAMES.index(f"{side}_toe_link")] = targets.foot_rot[:, k]
            rot[:, mink_ik.FRAMES.index(f"{side}_wrist_yaw_link")] = targets.hand_rot[:, k]
        keys = np.stack([where[name] for name in _KEY], axis=1)
        path = scaled_path(human, retargeter)
        wanted = Wanted(keys, np.ones(len(keys), dtype=bool), targets.contact, path)
        timed("ours", lambda: fit(retargeter, retargeter.targets(clip.human)))
        motion, costs = stream(retargeter, clip.human)
        motions["ours_streaming"] = part_of(motion, len(keys))
        speeds["ours_streaming"] = {"frames_per_second": round(1e3 / max(costs["ms_a_frame"], 1e-6), 1), **costs}
        targets_of_gmr = gmr_targets(retargeter, clip.human)
        timed("gmr", lambda: ik["gmr"](*targets_of_gmr))
    else:
        reference = clip.reference
        targets = targets_of_robot(reference, retargeter)
        pos, rot = mink_ik.robot_targets(reference)
        depth, _ = robot.self_collision_depth(reference)
        low, high = robot.JOINT_LIMITS.T
        inside = ((reference.joint_pos > low) & (reference.joint_pos < high)).all(axis=1)
        keys = robot.forward_kinematics(reference, _KEY)
        wanted = Wanted(keys, inside & (depth <= TOUCH), targets.contact, None)
        timed("ours", lambda: fit(retargeter, targets))
    timed("mink_on_our_targets", lambda: ik["mink_on_our_targets"](FPS, pos, rot))
    rows = {
        name: {**judge(motion, wanted, name != "gmr"), **of_surfaces(motion, surfaces), **speeds[name]}
        for name, motion in motions.items()
    }
    if clip.reference is not None and surfaces is not None:
        rows["ours"]["before"] = of_surfaces(clip.reference, surfaces)
    return rows, motions


# --- motions ----------------------------------------------------------------------------------------------------------


def generated(folder: Path, tasks: Sequence[str], progress: Progress) -> list[Clip]:
    """The generator's true motions and those estimated from its videos, cached in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    clips, estimator = [], None
    for k, task in enumerate(tasks):
        progress(k / len(tasks), task)
        truth, found = folder / f"{k}-truth.npz", folder / f"{k}-estimated.npz"
        if not found.is_file():
            generation = load_backend("generate", "mannequin", seed=k)(GenerateRequest(task))
            estimator = estimator or load_backend("estimate", "mediapipe")
            generation.truth.save(truth)
            try:
                estimator(generation.video).motion.save(found)
            except ExoActorError as error:
                stderr.print(f"{task}: {error}", markup=False)
        clips.append(Clip("generator", task, HumanMotion.load(truth)))
        if found.is_file():
            clips.append(Clip("estimated", task, HumanMotion.load(found)))
    return clips


def reachable(path: Path) -> Clip:
    """A robot motion at 50 Hz without its first frames, which jump, lifted so that no sole is below the floor."""
    motion = RobotMotion.load(path)
    motion = RobotMotion(motion.fps, motion.root_pos[3:], motion.root_quat_wxyz[3:], motion.joint_pos[3:])
    motion = resample_robot(motion, FPS)
    low, high = robot.JOINT_LIMITS.T
    motion = replace(motion, joint_pos=np.clip(motion.joint_pos, low, high), contacts=None)
    lift = max(0.0, -float(robot.sole_points(motion)[..., 2].min()))
    return Clip("reachable", path.stem, reference=replace(motion, root_pos=motion.root_pos + np.array([0, 0, lift])))


def long_motion(seconds: float) -> HumanMotion:
    """Repeat a motion forward and backward up to a duration."""
    once = choreograph(parse(LONG_TASK), np.zeros(10))
    count = round(seconds * once.fps) + 1
    period = 2 * (len(once) - 1)
    frames = np.arange(count) % period
    frames = np.minimum(frames, period - frames)
    return frames_of(once, frames)


def person_of(stature: float) -> np.ndarray:
    """Shape of the neutral body of a stature, m."""
    betas = np.zeros(10)
    betas[0] = (stature - 1.70) / (0.06 * 1.70)
    return betas


# --- cost, heights, tracking ------------------------------------------------------------------------------------------


def cost(who: str, seconds: float) -> dict[str, float]:
    """CPU seconds and memory of retargeting a long clip; runs in a separate process."""
    retargeter = Retargeter(fps=FPS)
    human = long_motion(seconds)
    once = long_motion(1.0)  # the first call loads and caches
    fit(retargeter, retargeter.targets(once)) if who == "ours" else gmr_targets(retargeter, once)
    before, times = _memory(peak=False), []
    for _ in range(3):  # other load can only increase it
        begin = time.process_time()
        if who == "ours":
            motion = fit(retargeter, retargeter.targets(human))
        else:
            motion = mink_ik.MinkIK(as_shipped=who == "gmr_as_shipped")(*gmr_targets(retargeter, human))
        times.append(time.process_time() - begin)
    return {
        "frames": len(motion),
        "cpu_seconds": round(min(times), 2),
        "frames_per_second": round(len(motion) / min(times), 1),
        "memory_mb": round(_memory(peak=True), 1),
        "memory_for_it_mb": round(_memory(peak=True) - before, 1),
    }


def _memory(peak: bool) -> float:
    """Memory in use, MB; with ``peak`` the maximum since the last call without it. Linux only, else 0."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0.0
    if not peak:
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024.0


def bars(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The requirements on ours: figure, limit, and whether it is met; only for measured figures."""
    out: dict[str, dict[str, Any]] = {}

    def bar(name: str, figure: float | None, met: Callable[[float, float], bool], limit: float | None) -> None:
        if figure is not None and limit is not None:
            out[name] = {"figure": figure, "bar": limit, "met": bool(met(figure, limit))}

    at_most, at_least = (lambda a, b: a <= b), (lambda a, b: a >= b)
    ten = report["cost"]["ours"][f"{LENGTHS[0]} s"]
    bar("10 s: frames/s", ten["frames_per_second"], at_least, 2000.0)
    bar("10 s: times as fast as gmr", report["times_as_fast"], at_least, 10.0)
    longest = list(report["cost"]["ours"].values())[-1]
    slower = round(ten["frames_per_second"] / longest["frames_per_second"], 2)
    live = [by["ours_streaming"] for by in report["sets"].values() if "ours_streaming" in by]
    if live:
        bar("streaming: ms a frame", max(figures["ms_a_frame"] for figures in live), at_most, 5.0)
        bar("streaming: delay, s", max(figures["delay_s"] for figures in live), at_most, 0.3)
    bar("longest clip: seconds a frame over those of 10 s", slower, at_most, 1.2)
    people = [kind for kind in report["sets"] if kind != "reachable"]
    for kind, by in report["sets"].items():
        ours, mink = by["ours"], by["mink_on_our_targets"]
        error = ours["key_body_error_mm"]
        if kind in people:
            bar(f"{kind}: key body error, mm", error, at_most, mink["key_body_error_mm"])
            bar(f"{kind}: slide, mm a frame", ours.get("slide_mm_max"), at_most, 1.0)
            bar(f"{kind}: sole height, mm", ours.get("sole_height_mm_max"), at_most, 2.0)
            bar(f"{kind}: sole tilt, degrees", ours.get("sole_tilt_deg_max"), at_most, 1.0)
            bar(f"{kind}: root path error", ours.get("root_path_error"), at_most, 0.02)
        else:
            bar(f"{kind}: key body error, mm", error, at_most, 5.0)
        bar(f"{kind}: joint speed at the start", ours["start_speed"], at_most, 1.0)
        for count in (
            "over_speed_frames",
            "outside_limits_frames",
            "self_penetration_frames",
            "surface_penetration_frames",
        ):
            bar(f"{kind}: {count}", ours.get(count), at_most, 0)
    if "tracked" in report:
        bar("tracked: falls", report["tracked"]["ours"]["fell"], at_most, report["tracked"]["gmr"]["fell"])
    return out


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def tracked(motion: RobotMotion, policy: str, progress: Progress) -> dict[str, Any]:
    """Figures of one rehearsal; a motion that the tracker refuses counts as neither fallen nor completed."""
    from exoactor_control.rehearsal.rehearsal import Rehearsal

    try:
        metrics = Rehearsal(policy=policy, min_pace=1.0)(motion, progress).metrics
    except ExoActorError as error:
        return {"success": False, "fell": False, "refused": True, "reason": str(error)}
    keys = ("success", "fell", "reason", "joint_error_mean", "end_position_error")
    return {"refused": False, **{key: metrics[key] for key in keys}}


def track_all(motions: dict[tuple[str, str], dict[str, RobotMotion]], policy: str, progress: Progress) -> dict:
    out: dict[str, Any] = {}
    jobs = [(kind, name, who) for (kind, name), by in motions.items() for who in by if kind != "reachable"]
    for k, (kind, name, who) in enumerate(jobs):
        progress(k / len(jobs), f"{name}: {who}")
        row = tracked(motions[kind, name][who], policy, lambda fraction, text: None)
        out.setdefault(who, []).append({"set": kind, "clip": name, **row})
    return {
        who: {
            "runs": len(rows),
            "succeeded": sum(r["success"] for r in rows),
            "fell": sum(r["fell"] for r in rows),
            "refused": sum(r["refused"] for r in rows),
            "joint_error_rad": _mean(r["joint_error_mean"] for r in rows if not r["refused"]),
            "failures": {f"{r['set']}: {r['clip']}": r["reason"] for r in rows if not r["success"]},
        }
        for who, rows in out.items()
    }


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return round(float(np.mean(values)), 4) if values else None


def main(
    data: Annotated[Path | None, typer.Option(help="Folder with human/*.bvh and motions/*.npz.", exists=True)] = None,
    output: Annotated[Path, typer.Option(help="Folder that caches the generated clips.")] = Path("build/retarget"),
    tasks: Annotated[int, typer.Option(help="Number of tasks.")] = len(TASKS),
    references: Annotated[int, typer.Option(help="Number of robot motions; 0: all.")] = 0,
    longest: Annotated[float, typer.Option(help="Maximum duration of the clips whose cost is measured, s.")] = 300.0,
    track: Annotated[bool, typer.Option(help="Also rehearse the motions.")] = False,
    policy: Annotated[str, typer.Option(help="Tracker.")] = "exoactor",
) -> None:
    report: dict[str, Any] = {}
    retargeter = Retargeter(fps=FPS)
    surfaces: Surfaces | None = None
    with progress_bars() as stages:
        clips = generated(output, TASKS[:tasks], stages("clips"))
        if data is not None:
            clips += [Clip("bvh", path.stem, load_human(path)) for path in sorted((data / "human").glob("*.bvh"))]
            clips += [Clip("dm", path.stem, load_human(path)) for path in sorted((data / "human").glob("dm_*.npz"))]
            points = data / "robot" / "g1_surface_points.npz"
            surfaces = Surfaces(points) if points.is_file() else None
            robots = sorted((data / "motions").glob("*.npz"))
            robots = robots[:: max(1, len(robots) // references)][:references] if references else robots
            clips += [reachable(path) for path in robots]
        motions: dict[tuple[str, str], dict[str, RobotMotion]] = {}
        rows: list[dict[str, Any]] = []
        bar = stages("compare")
        for k, clip in enumerate(clips):
            figures, motions[clip.kind, clip.name] = compare(
                clip, retargeter, lambda part, text, k=k: bar((k + part) / len(clips), text), surfaces
            )
            rows += [{"set": clip.kind, "clip": clip.name, "by": who, **row} for who, row in figures.items()]
        kinds = dict.fromkeys(row["set"] for row in rows)
        report["sets"] = {
            kind: {
                who: summary(row for row in rows if row["set"] == kind and row["by"] == who)
                for who in dict.fromkeys(row["by"] for row in rows if row["set"] == kind)
            }
            for kind in kinds
        }

        bar = stages("heights")
        report["statures"] = {}
        for k, stature in enumerate(STATURES):
            human = choreograph(parse("walk forward one metre, then squat"), person_of(stature))
            figures, _ = compare(
                Clip("stature", f"{stature} m", human),
                retargeter,
                lambda part, text, k=k: bar((k + part) / len(STATURES), text),
            )
            report["statures"][f"{stature} m"] = figures

        bar = stages("cost")
        report["cost"] = {"ours": {}, "gmr": {}, "gmr_as_shipped": {}}
        jobs = [("ours", length) for length in LENGTHS if length <= longest]
        jobs += [("gmr", LENGTHS[0]), ("gmr_as_shipped", LENGTHS[0])]
        for k, (who, seconds) in enumerate(jobs):
            bar(k / len(jobs), f"{who}, {seconds} s")
            report["cost"][who][f"{seconds} s"] = in_own_process(cost, who, seconds)
        speed = {who: figures[f"{LENGTHS[0]} s"]["frames_per_second"] for who, figures in report["cost"].items()}
        report["times_as_fast"] = round(speed["ours"] / speed["gmr"], 2)
        report["times_as_fast_as_shipped"] = round(speed["ours"] / speed["gmr_as_shipped"], 2)

        if track:
            report["tracked"] = track_all(motions, policy, stages("track"))
    report = {"bars": bars(report), **report, "clips": rows}
    report["machine"] = f"{platform.machine()}, Python {platform.python_version()}"
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    typer.run(main)
