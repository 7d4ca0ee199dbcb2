"""Our tracker beside the one that it was distilled from: the same references in the same run. Prints one JSON object.

Both are driven by the same controller, from standing, knowing only what LowState tells: every motion in a folder, and
random tasks of the generator through the whole pipeline (video, person's motion, robot's motion). Then both are pushed
while they stand and while they walk, and both get heavier, lighter and later. Success is the field's rule
(`exoactor_control.metrics`), by the motion as it was given; "as commanded" by what the repair left of it. Position and
heading errors are those of the motion's last frame ("end") and of where the robot stands once it has stepped to its
final position ("final"). The tasks' motions are kept in --output and used again; their seeds are none of those that
`exoactor train-tracker` draws. References of the training's split come part by part, and which files a tracker has seen
is printed; the test part is run only where --parts names it, since nothing is chosen by it. With --correction-tries
both get corrections for the motions at which they failed (`exoactor_control.rehearsal.reference_correction`), and the
figures with them stand beside those without.

    .venv/bin/python bench/tracking.py --teacher twist2_1017_20k.onnx --motions DATA/motions --output build/tracking
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from exoactor.cli import progress_bars
from exoactor_control.policy.policy import policy_file
from exoactor_control.reference.repair import LOW_FLIGHT
from exoactor_control.rehearsal.rehearsal import Disturbance, Rehearsal
from exoactor_control.training.references import random_task
from exoactor_control.training.split import PARTS, part_of, was_seen
from exoactor_core.errors import BadInput, ExoActorError
from exoactor_core.interaction import Interaction
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import standing_motion
from exoactor_core.stages import GenerateRequest, Progress, load_backend

FIRST_SEED = 9_000_000
PUSH = 50.0  # N
DELAY, MASS = 0.02, 0.1  # s, share
SHORTEST_PATH = 0.5  # m: under it a share of the path says nothing


def make_task(number: int, path: Path) -> str:
    """Take a random task through the pipeline up to the robot's motion; returns why there is none, or nothing."""
    task = random_task(np.random.default_rng(FIRST_SEED + number))
    try:
        generation = load_backend("generate", "mannequin", seed=FIRST_SEED + number)(GenerateRequest(task))
        human = load_backend("estimate", "mediapipe")(generation.video).motion
        load_backend("retarget", "trajectory_ik")(human, interaction=Interaction()).motion.save(path)
    except ExoActorError as error:
        return f"{task}: {error}"
    path.with_suffix(".txt").write_text(task + "\n")
    return ""


def track(
    policy: str, path: Path | None, disturbance: Disturbance, loop: Literal["auto", "closed"], tries: int = 0
) -> dict[str, Any]:
    """Figures of one rehearsal; without a path the G1 stands."""
    motion = standing_motion(4.0) if path is None else RobotMotion.load(path)
    try:
        rehearsal = Rehearsal(policy=policy, outer_loop=loop, correction_tries=tries)
        return rehearsal(motion, disturbance=disturbance).metrics
    except ExoActorError as error:
        return {"success": False, "fell": False, "refused": True, "reason": str(error)}


def of_path(rows: Sequence[dict[str, Any]], error: str) -> dict[str, Any] | None:
    """An error in m (its key) over the paths' lengths."""
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
    paths = [row for row in done if row["path_length"] > SHORTEST_PATH]
    heading, final = (np.degrees([row[f"{when}_heading_error"] for row in done]) for when in ("end", "final"))
    return {
        "runs": len(rows),
        "succeeded": sum(row["success"] for row in rows),
        "succeeded_as_commanded": sum(row.get("commanded", row)["success"] for row in rows),
        "fell": sum(row["fell"] for row in rows),
        "outer_loop_opened": sum(not row["outer_loop"] for row in done),
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


def jumps(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """How high, m, and how long, s, was jumped of what was asked, where anything was."""
    asked = [row["jump"] for row in rows if row["jump"]["asked"]["height"] > LOW_FLIGHT]
    if not asked:
        return None
    return {"runs": len(asked)} | {
        which: {unit: round(float(np.mean([jump[which][unit] for jump in asked])), 3) for unit in ("height", "seconds")}
        for which in ("asked", "commanded", "done")
    }


def of_part(part: str, folders: Sequence[Path], most: int) -> list[Path]:
    """References of a part of the split, at most so many of each family."""
    if part not in PARTS:
        raise BadInput(f"There is no part '{part}': there are {', '.join(PARTS)}.")
    found: dict[str, list[Path]] = {}
    for path in sorted(path for folder in folders for path in folder.glob("*.npz")):
        if part_of(path) == part:
            family = path.stem if path.stem.startswith(("dm_", "bvh_")) else path.stem.split("_")[0]
            found.setdefault(family, []).append(path)
    return [path for paths in found.values() for path in paths[:most]]


def seen(tracker: str | Path, paths: Sequence[Path]) -> dict[str, Any]:
    """Which of the references a tracker has seen in training, or that it does not say."""
    known = [was_seen(policy_file(str(tracker)), path) for path in paths]
    if None in known:
        return {"says": False}
    return {"says": True, "seen": [path.stem for path, yes in zip(paths, known, strict=True) if yes]}


def main(
    teacher: Annotated[Path, typer.Option(help="The tracker to compare with (.onnx).")],
    policy: Annotated[str, typer.Option(help="Ours.")] = "exoactor",
    motions: Annotated[Path | None, typer.Option(help="Folder of robot motions (.npz).")] = None,
    tasks: Annotated[int, typer.Option(help="Random tasks through the whole pipeline.")] = 40,
    output: Annotated[Path, typer.Option(help="Folder that keeps the tasks' motions.")] = Path("build/tracking"),
    references: Annotated[
        list[Path] | None,
        typer.Option(help="Folders of references of the training's split (see exoactor_control.training.split)."),
    ] = None,
    parts: Annotated[
        list[str] | None, typer.Option(help="Parts of the split that are run: training, validation, test.")
    ] = None,
    most: Annotated[int, typer.Option(help="References of a family, the first by name, at most.")] = 10,
    outer_loop: Annotated[Literal["auto", "closed"], typer.Option(help="As the rehearsal's option.")] = "auto",
    disturbed: Annotated[bool, typer.Option(help="Also push, delay, load.")] = True,
    correction_tries: Annotated[int, typer.Option(help="Corrections that are tried for a motion that failed.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes.")] = os.cpu_count() or 1,
) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    output.mkdir(parents=True, exist_ok=True)
    with progress_bars() as bars, ProcessPoolExecutor(workers) as pool:
        wanted = {k: output / f"{k:02d}.npz" for k in range(tasks)}
        making = {pool.submit(make_task, k, path): k for k, path in wanted.items() if not path.exists()}
        untold = {str(making[f]): f.result() for f in _finished(making, bars("tasks")) if f.result()}
        made = [path for path in wanted.values() if path.exists()]

        sets: dict[str, list[tuple[str, Path | None, Disturbance]]] = {
            "tasks": [(p.stem, p, Disturbance()) for p in made]
        }
        given = [] if motions is None else sorted(motions.glob("*.npz"))
        sets["motions"] = [(p.stem, p, Disturbance()) for p in given]
        for part in parts or ["training", "validation"]:
            sets[part] = [(p.stem, p, Disturbance()) for p in of_part(part, references or [], most)]
        if disturbed:
            pushes = [
                (f"{angle} degrees", (PUSH * np.cos(np.radians(angle)), PUSH * np.sin(np.radians(angle))))
                for angle in range(0, 360, 45)
            ]
            walks = [p for p in made if "walk forward" in p.with_suffix(".txt").read_text()][:5]
            sets["pushed_standing"] = [(name, None, Disturbance(push=push)) for name, push in pushes]
            sets["pushed_walking"] = [
                (f"{p.stem} {name}", p, Disturbance(push=push, push_time=2.0)) for p in walks for name, push in pushes
            ]
            sets["late_and_heavier_or_lighter"] = [
                (f"{p.stem} {mass:+.0%}", p, Disturbance(mass=mass, delay=DELAY))
                for p in [*made, *given]
                for mass in (-MASS, MASS)
            ]
        runs: dict[Future[dict[str, Any]], tuple[str, str, str]] = {
            pool.submit(track, str(file), path, disturbance, outer_loop): (who, which, name)
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
            for name, path, disturbance in sets[which]
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
