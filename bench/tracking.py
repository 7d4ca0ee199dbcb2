"""Compare our tracker with the one that it was distilled from, on the same references. Prints one JSON object.

Both run in the same controller, from standing, with LowState as the only input: every motion in a folder, and random
tasks of the generator through the whole pipeline (video, human motion, robot motion). Then both are pushed while they
stand and while they walk, get heavier, lighter and delayed, hold 2 kg in each hand, and go on tours of 60 s on which
they are pushed every 5 s, standing and walking: for 0.08 s with up to 600 N (48 N s) at torso, pelvis or an arm, from
any side; and they do single jumps of 10 to 20 cm. --only selects what to run, such as --only tours --only loaded.
Success is by the usual rule of the field (`exoactor_control.metrics`), relative to the given motion; "as commanded" is
relative to the repaired one. Position and heading errors are those in the motion's last frame ("end") and after the
robot has stepped to its final position ("final"). The tasks' motions are cached in --output; their seeds differ from
those that `exoactor train-tracker` draws. References of the training's split are evaluated by part, with the files that
each tracker has seen; the test part is run only if --parts names it, since nothing is selected by it. With
--correction-tries both get corrections for the motions at which they failed
(`exoactor_control.rehearsal.reference_correction`); figures with and without corrections are both given.

    .venv/bin/python bench/tracking.py --teacher twist2_1017_20k.onnx --motions DATA/motions --output build/tracking
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from exoactor.cli import progress_bars
from exoactor_control.policy.policy import policy_file
from exoactor_control.reference.repair import LOW_FLIGHT, flight
from exoactor_control.reference.trajectory import POLICY_RATE, prepare
from exoactor_control.rehearsal.gate import strayed
from exoactor_control.rehearsal.rehearsal import Rehearsal
from exoactor_control.rehearsal.simulated_robot import Disturbance, Push
from exoactor_control.training.references import random_task
from exoactor_control.training.split import PARTS, part_of, was_trained_on
from exoactor_control.training.whole_body import whole_body
from exoactor_core.errors import BadInput, ExoActorError
from exoactor_core.interaction import Interaction
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import standing_motion
from exoactor_core.stages import GenerateRequest, Progress, load_backend
from exoactor_gen.mannequin.choreography import choreograph
from exoactor_gen.mannequin.language import parse

FIRST_SEED = 9_000_000
PUSH = 50.0  # N
DELAY, MASS, LOAD = 0.02, 0.1, 2.0  # s, share, kg
PUNCH, PUNCH_TIME, SEGMENT = 600.0, 0.08, 5.0  # N, maximum; s; s of a tour between two pushes
_ARMS = ("left_shoulder_roll_link", "right_shoulder_roll_link", "left_elbow_link", "right_elbow_link")
PUNCHED = ("torso_link", "pelvis", *_ARMS)
TOUR = 60.0  # s
OF_TASKS = {"tasks", "pushed_walking", "late_and_heavier_or_lighter", "loaded"}
SETS = (*sorted(OF_TASKS), "motions", "pushed_standing", "tours", "jumps")
SHORTEST_PATH = 0.5  # m, minimum length for errors relative to the path


def make_task(number: int, path: Path) -> str:
    """Run a random task through the pipeline up to the robot motion; returns why there is none, else empty."""
    task = random_task(np.random.default_rng(FIRST_SEED + number))
    try:
        generation = load_backend("generate", "mannequin", seed=FIRST_SEED + number)(GenerateRequest(task))
        human = load_backend("estimate", "mediapipe")(generation.video).motion
        load_backend("retarget", "trajectory_ik")(human, interaction=Interaction()).motion.save(path)
    except ExoActorError as error:
        return f"{task}: {error}"
    path.with_suffix(".txt").write_text(task + "\n")
    return ""


def make_tour(number: int, path: Path) -> str:
    """Make the robot motion of a random tour of walks, turns and stands."""
    rng = np.random.default_rng(FIRST_SEED + number)
    ways = ("forward", "forward", "backward", "to the left", "to the right")

    def some() -> str:
        way = ways[rng.integers(len(ways))]
        far = rng.uniform(1.0, 2.0) if way == "forward" else rng.uniform(0.4, 0.8)
        turn = f"turn {('left', 'right')[rng.integers(2)]} {rng.integers(3, 13) * 10} degrees"
        return f"walk {way} {far:.1f} metres, {turn}, stand still for {rng.uniform(2.0, 4.0):.1f} seconds"

    person = choreograph(parse(", ".join(some() for _ in range(9))), np.zeros(10))
    motion = load_backend("retarget", "trajectory_ik")(person).motion
    frames = round(TOUR * motion.fps)
    if len(motion) < frames:
        return f"it takes {len(motion) / motion.fps:.0f} s"
    arrays = (motion.root_pos, motion.root_quat_wxyz, motion.joint_pos)
    RobotMotion(motion.fps, *(array[:frames] for array in arrays)).save(path)
    return ""


def make_jump(number: int, path: Path) -> str:
    """Draw a single jump of 10 to 20 cm, on the spot or a short way."""
    rng = np.random.default_rng(FIRST_SEED + number)
    while True:
        motion = whole_body("jump", rng, 1.0)
        if 0.1 <= flight(motion).max() <= 0.2:
            motion.save(path)
            return ""


def punches(number: int) -> tuple[Push, ...]:
    """The pushes of a tour, one in each segment."""
    rng = np.random.default_rng(FIRST_SEED + number)
    return tuple(
        Push(
            (force * float(np.cos(angle)), force * float(np.sin(angle))),
            float(start + rng.uniform(0.0, SEGMENT - 1.0)),
            PUNCH_TIME,
            PUNCHED[rng.integers(len(PUNCHED))],
        )
        for start in np.arange(0.0, TOUR, SEGMENT)
        for force, angle in [(PUNCH * rng.uniform(), rng.uniform(-np.pi, np.pi))]
    )


def track(
    policy: str, path: Path | None, disturbance: Disturbance, loop: Literal["auto", "closed"], tries: int = 0
) -> dict[str, Any]:
    """Figures of one rehearsal; without a motion file the G1 stands."""
    motion = standing_motion(4.0) if path is None else RobotMotion.load(path)
    try:
        rehearsal = Rehearsal(policy=policy, outer_loop=loop, correction_tries=tries, min_pace=1.0)
        done = rehearsal(motion, disturbance=disturbance)
        reference = prepare(motion).motion
        off = strayed(reference, done.motion)
        up = not done.metrics["fell"] and len(off) == len(reference)  # less: the controller gave up
        return done.metrics | {"up": up, "strayed_mean": float(off.mean()), "seconds": len(off) / POLICY_RATE}
    except ExoActorError as error:
        return {"success": False, "fell": False, "refused": True, "reason": str(error)}


def of_path(rows: Sequence[dict[str, Any]], error: str) -> dict[str, Any] | None:
    """An error in m (by its key) relative to the paths' lengths."""
    if not rows:
        return None
    share = [row[error] / row["path_length"] for row in rows]
    whole = sum(row[error] for row in rows) / sum(row["path_length"] for row in rows)
    return {
        "runs": len(rows),
        "mean": round(float(np.mean(share)), 3),
        "worst": round(float(np.max(share)), 3),
        "of_all_paths": round(whole, 3),
    }


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures of a set of rehearsals."""
    done = [row for row in rows if "frames" in row]
    up, strays = [row for row in done if row["up"]], {"mean": "strayed_mean", "most": "strayed"}
    paths = [row for row in done if row["path_length"] > SHORTEST_PATH]
    heading, final = (np.degrees([row[f"{when}_heading_error"] for row in done]) for when in ("end", "final"))
    return {
        "runs": len(rows),
        "succeeded": sum(row["success"] for row in rows),
        "succeeded_as_commanded": sum(row.get("commanded", row)["success"] for row in rows),
        "fell": sum(row["fell"] for row in rows),
        "still_up": len(up),
        "seconds_up": mean_of(done, "seconds"),
        "strayed_m_of_those_up": {key: mean_of(up, name) for key, name in strays.items()} if up else None,
        "outer_loop_opened": sum(not row["outer_loop"] for row in done),
        "tracked_by": dict(Counter(row["policy"] for row in done)),
        "jumps": jumps(done),
        "joint_error_rad": round(float(np.mean([row["joint_error_mean"] for row in done])), 4),
        "key_body_error_mm": round(1e3 * float(np.mean([row["key_body_error_mean"] for row in done])), 1),
        "end_position_error_of_path": of_path(paths, "end_position_error"),
        "final_position_error_of_path": of_path(paths, "final_position_error"),
        "end_position_error_of_path_where_it_succeeded": of_path(
            [row for row in paths if row["success"]], "end_position_error"
        ),
        "end_position_error_m": round(float(np.mean([row["end_position_error"] for row in done])), 3),
        "end_heading_error_deg": {"mean": round(heading.mean(), 1), "worst": round(heading.max(), 1)},
        "final_heading_error_deg": {"mean": round(final.mean(), 1), "worst": round(final.max(), 1)},
        "inference_ms": round(float(np.mean([row["inference_ms_mean"] for row in done])), 3),
        "failures": {row["name"]: row["reason"] for row in rows if not row["success"]},
    }


def mean_of(rows: Sequence[dict[str, Any]], key: str) -> float:
    return round(float(np.mean([row[key] for row in rows])), 3)


def jumps(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Height, m, and duration, s, of jumps, with those of the reference, if it has any."""
    rows = [row for row in rows if row["jump"]["asked"]["height"] > LOW_FLIGHT]
    asked = [row["jump"] for row in rows]
    if not asked:
        return None
    high = [row["success"] and row["jump"]["done"]["height"] >= 0.5 * row["jump"]["asked"]["height"] for row in rows]
    return {"runs": len(asked), "succeeded_at_least_half_as_high": sum(high)} | {
        which: {unit: round(float(np.mean([jump[which][unit] for jump in asked])), 3) for unit in ("height", "seconds")}
        for which in ("asked", "commanded", "done")
    }


def of_part(part: str, folders: Sequence[Path], most: int) -> list[Path]:
    """References of a part of the split, at most ``most`` of each family."""
    if part not in PARTS:
        raise BadInput(f"There is no part '{part}': there are {', '.join(PARTS)}.")
    found: dict[str, list[Path]] = {}
    for path in sorted(path for folder in folders for path in folder.glob("*.npz")):
        if part_of(path) == part:
            family = path.stem if path.stem.startswith(("dm_", "bvh_")) else path.stem.split("_")[0]
            found.setdefault(family, []).append(path)
    return [path for paths in found.values() for path in paths[:most]]


def seen(tracker: str | Path, paths: Sequence[Path]) -> dict[str, Any]:
    """The references that a tracker has seen in training, or that this is unknown."""
    known = [was_trained_on(policy_file(str(tracker)), path) for path in paths]
    if None in known:
        return {"says": False}
    return {"says": True, "seen": [path.stem for path, yes in zip(paths, known, strict=True) if yes]}


def main(
    teacher: Annotated[Path, typer.Option(help="Tracker to compare with (.onnx).")],
    policy: Annotated[str, typer.Option(help="Our tracker.")] = "exoactor",
    motions: Annotated[Path | None, typer.Option(help="Folder of robot motions (.npz).")] = None,
    tasks: Annotated[int, typer.Option(help="Random tasks through the whole pipeline.")] = 40,
    output: Annotated[Path, typer.Option(help="Folder that caches the tasks' motions.")] = Path("build/tracking"),
    references: Annotated[
        list[Path] | None,
        typer.Option(help="Folders of references of the training's split (see exoactor_control.training.split)."),
    ] = None,
    parts: Annotated[
        list[str] | None, typer.Option(help="Parts of the split to run: training, validation, test.")
    ] = None,
    most: Annotated[int, typer.Option(help="Maximum number of references per family, the first by name.")] = 10,
    outer_loop: Annotated[Literal["auto", "closed"], typer.Option(help="As the rehearsal's option.")] = "auto",
    tours: Annotated[int, typer.Option(help="Tours with punches.")] = 4,
    single_jumps: Annotated[int, typer.Option(help="Single jumps of 10 to 20 cm.")] = 10,
    only: Annotated[list[str] | None, typer.Option(help=f"What to run, of {', '.join(SETS)} and the parts.")] = None,
    correction_tries: Annotated[int, typer.Option(help="Corrections to try for a failed motion, at most.")] = 0,
    workers: Annotated[int, typer.Option(help="Number of processes.")] = os.cpu_count() or 1,
) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    output.mkdir(parents=True, exist_ok=True)
    chosen = set(only or (*SETS, *(parts or ("training", "validation"))))
    if unknown := chosen - {*SETS, *PARTS}:
        raise BadInput(f"There is no '{min(unknown)}' to run: there are {', '.join((*SETS, *PARTS))}.")
    with progress_bars() as bars, ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        wanted = {output / f"{k:02d}.npz": (make_task, k) for k in range(tasks if chosen & OF_TASKS else 0)}
        wanted |= {output / f"tour_{k:02d}.npz": (make_tour, k) for k in range(tours if "tours" in chosen else 0)}
        count = single_jumps if "jumps" in chosen else 0
        wanted |= {output / f"jump_{k:02d}.npz": (make_jump, k) for k in range(count)}
        making = {pool.submit(make, k, path): path for path, (make, k) in wanted.items() if not path.exists()}
        untold = {making[f].stem: f.result() for f in _finished(making, bars("tasks")) if f.result()}
        made = [path for path, (make, _) in wanted.items() if path.exists() and make is make_task]
        given = [] if motions is None else sorted(motions.glob("*.npz"))

        pushes = [
            (f"{angle} degrees", (PUSH * np.cos(np.radians(angle)), PUSH * np.sin(np.radians(angle))))
            for angle in range(0, 360, 45)
        ]
        walks = [p for p in made if "walk forward" in p.with_suffix(".txt").read_text()][:5]
        sets: dict[str, list[tuple[str, Path | None, Disturbance]]] = {
            "tasks": [(p.stem, p, Disturbance()) for p in made],
            "motions": [(p.stem, p, Disturbance()) for p in given],
            "pushed_standing": [(name, None, Disturbance(pushes=(Push(push),))) for name, push in pushes],
            "pushed_walking": [
                (f"{p.stem} {name}", p, Disturbance(pushes=(Push(push, 2.0),))) for p in walks for name, push in pushes
            ],
            "late_and_heavier_or_lighter": [
                (f"{p.stem} {mass:+.0%}", p, Disturbance(mass=mass, delay=DELAY))
                for p in [*made, *given]
                for mass in (-MASS, MASS)
            ],
            "loaded": [(p.stem, p, Disturbance(load=LOAD)) for p in [*made, *given]],
            "tours": [
                (p.stem, p, Disturbance(pushes=punches(k)))
                for p, (make, k) in wanted.items()
                if make is make_tour and p.exists()
            ],
        }
        sets["jumps"] = [(p.stem, p, Disturbance()) for p, (make, _) in wanted.items() if make is make_jump]
        sets |= {
            part: [(p.stem, p, Disturbance()) for p in of_part(part, references or [], most)]
            for part in chosen.intersection(PARTS)
        }
        sets = {which: rows for which, rows in sets.items() if which in chosen}
        runs: dict[Future[dict[str, Any]], tuple[str, str, str]] = {
            # tours are not retried, so that no better try is selected
            pool.submit(track, str(file), path, disturbance, "closed" if which == "tours" else outer_loop): (
                who,
                which,
                name,
            )
            for which, rows in sets.items()
            for name, path, disturbance in rows
            for who, file in (("ours", policy), ("teacher", teacher))
        }
        results: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for future in _finished(runs, bars("track")):
            who, which, name = runs[future]
            results.setdefault((which, who), []).append({"name": name, **future.result()})
        again = {
            pool.submit(track, str(file), path, disturbance, outer_loop, correction_tries): (who, which, name)
            for which in ("tasks", "motions")
            for name, path, disturbance in sets.get(which, ())
            for who, file in (("ours", policy), ("teacher", teacher))
            if correction_tries and not next(row for row in results[which, who] if row["name"] == name)["success"]
        }
        corrected = {again[future]: future.result() for future in _finished(again, bars("correct"))}
        for (which, who), rows in list(results.items()):
            if correction_tries and which in ("tasks", "motions"):
                results[which, f"{who}_corrected"] = [
                    row | corrected.get((who, which, row["name"]), {}) for row in rows
                ]
    whose = ("ours", "teacher", "ours_corrected", "teacher_corrected") if correction_tries else ("ours", "teacher")
    report: dict[str, Any] = {
        which: {
            who: summary(sorted(results[which, who], key=lambda row: row["name"]))
            for who in whose
            if (which, who) in results
        }
        for which, rows in sets.items()
        if rows
    }
    both = {who: [row for which in ("tasks", "motions") for row in results.get((which, who), [])] for who in whose}
    if both["ours"]:
        figures = {who: summary(rows) for who, rows in both.items()}
        report["tasks_and_motions"] = {
            who: {k: v for k, v in of_both.items() if k != "failures"} for who, of_both in figures.items()
        }
        report["joint_error_ours_over_teacher"] = round(
            figures["ours"]["joint_error_rad"] / figures["teacher"]["joint_error_rad"], 3
        )
    report["tasks_not_made"] = untold
    report["seen_in_training"] = {
        who: {which: seen(file, [path for _, path, _ in rows if path is not None]) for which, rows in sets.items()}
        for who, file in (("ours", policy), ("teacher", teacher))
    }
    print(json.dumps(report, indent=2))


def _finished(futures: dict[Future, Any], progress: Progress) -> list[Future]:
    done = []
    for future in as_completed(futures):
        done.append(future)
        progress(len(done) / len(futures), f"{len(done)} of {len(futures)}")
    return done


if __name__ == "__main__":
    typer.run(main)
