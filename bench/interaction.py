"""Tasks with objects: ours and an open-loop baseline in the same physics. Prints one JSON object.

Every task is an instruction; half of them have a random scene, the others the scene that the generator imagines. It
runs through the whole pipeline; with --no-video the estimator is skipped and the motion is the generator's own. "Ours"
retargets to the objects, corrects the hands and feeds contact forces forward; the baseline retargets the human motion
alone, and its controller ignores the objects. Both are rehearsed with the objects at their assumed poses and with
perturbed ones (`exoactor_core.scene.perturbed`), and evaluated by the same checks. A task succeeds if the robot would
be allowed to do it and does it: all checks pass, and the safety gate accepts it. A refusal by an earlier stage is a
failure, with its sentence. Failed tasks are retried with another video, as in the pipeline (`--tries`), before they are
perturbed; "at_first_try" is without retries. Distances refer to the robot's final position.

    .venv/bin/python bench/interaction.py --each 4
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Annotated, Any

import numpy as np
import typer

from exoactor.cli import progress_bars
from exoactor_control.rehearsal.rehearsal import Disturbance, Rehearsal
from exoactor_core.errors import ExoActorError
from exoactor_core.interaction import Interaction
from exoactor_core.motion import RobotMotion
from exoactor_core.scene import Scene, everyday, joined, perturbed
from exoactor_core.stages import GenerateRequest, load_backend

REPORTED_SEED = 7_000_000  # not used for any design choice
Motions = dict[str, RobotMotion]
"""Ours and the baseline's."""


@dataclass(frozen=True)
class Task:
    kind: str
    instruction: str
    scene: Callable[[np.random.Generator], Scene] | None = None
    """Creates the scene; None: the generator imagines it."""
    moved: bool = False
    """All objects are moved by 1 m after the video was made."""
    metres: float = 0.0
    """Distance to walk by the instruction; 0: none."""


def _table(rng: np.random.Generator, ahead: float = 1.0) -> tuple[Any, np.ndarray]:
    """A table at about this distance, m, and the position of its near edge."""
    far = ahead + rng.uniform(0.0, 0.6)
    height = rng.uniform(0.70, 0.80)
    table = everyday("table", pos=(far + 0.3, rng.uniform(-0.1, 0.1), 0.0), size=(0.6, 1.2, height))
    return table, np.array([far, 0.0, height])


def beyond(edge: np.ndarray, ahead: float, left: float) -> tuple[float, ...]:
    return tuple(edge + np.array([ahead, left, 0.0]))


def on_table(category: str, **given: Callable[[np.random.Generator], Any]) -> Callable[[np.random.Generator], Scene]:
    def scene(rng: np.random.Generator) -> Scene:
        table, edge = _table(rng)
        values = {name: draw(rng) for name, draw in given.items()}
        deep = values["size"][0] if "size" in values else 0.1
        return joined(
            [table, everyday(category, pos=beyond(edge, 0.05 + deep / 2, rng.uniform(-0.15, 0.15)), **values)]
        )

    return scene


def on_floor(
    category: str, near: float, **given: Callable[[np.random.Generator], Any]
) -> Callable[[np.random.Generator], Scene]:
    def scene(rng: np.random.Generator) -> Scene:
        values = {name: draw(rng) for name, draw in given.items()}
        return joined([everyday(category, pos=(near + rng.uniform(0, 0.6), rng.uniform(-0.2, 0.2), 0.0), **values)])

    return scene


def bottle_and_basket(rng: np.random.Generator) -> Scene:
    table, edge = _table(rng)
    bottle = everyday("bottle", pos=beyond(edge, 0.1, 0.2))
    stand = everyday("stand", pos=(rng.uniform(0.4, 0.9), 1.3, 0.0))
    basket = everyday("basket", pos=(stand.pos[0], stand.pos[1], 0.60))
    return joined([table, bottle, stand, basket])


def box_and_stand(rng: np.random.Generator) -> Scene:
    table, edge = _table(rng)
    box = everyday("box", pos=beyond(edge, 0.15, 0.0), size=box_size(rng), mass=box_mass(rng))
    stand = everyday("stand", pos=(edge[0] - 0.3, 2.0, 0.0), size=(0.5, 0.5, rng.uniform(0.6, 0.75)))
    return joined([table, box, stand])


def obstacle(rng: np.random.Generator) -> Scene:
    chair = everyday("chair", pos=(1.0 + rng.uniform(0, 0.2), rng.uniform(-0.15, 0.15), 0.0))
    return joined([chair, everyday("basket", pos=(2.3, rng.uniform(-0.3, 0.3), 0.0))])


def box_size(rng: np.random.Generator) -> tuple[float, ...]:
    return tuple(rng.uniform(0.20, 0.35, size=3))


def box_mass(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.5, 2.0))


def bottle_and_bin(rng: np.random.Generator) -> Scene:
    table, edge = _table(rng)
    stand = everyday("stand", pos=(rng.uniform(0.4, 0.9), 1.3, 0.0), size=(0.4, 0.4, 0.5))
    return joined(
        [table, everyday("bottle", pos=beyond(edge, 0.1, 0.2)), stand, everyday("bin", pos=(*stand.pos[:2], 0.5))]
    )


def elsewhere(scene: Scene, rng: np.random.Generator) -> Scene:
    """The objects moved together by 1 m, away from the robot's start."""
    while True:
        angle = rng.uniform(-np.pi, np.pi)
        shift = np.array([np.cos(angle), np.sin(angle), 0.0])
        moved = joined([obj.at(np.r_[obj.pos + shift, obj.quat_wxyz]) for obj in scene.objects])
        corners = np.concatenate([obj.corners[:, :2] for obj in moved.objects])
        if corners[:, 0].min() > 0.4 or np.abs(corners[:, 1]).min() > 0.6:
            return moved


BOX = {"size": box_size, "mass": box_mass}
TASKS = (
    Task("touch", "touch the bottle with your right hand"),
    Task("touch", "walk to the table and touch the bottle with your left hand", on_table("bottle")),
    Task("push", "push the box forward"),
    Task("push", "walk to the box and push it forward", on_floor("box", 1.0, size=lambda rng: (0.4, 0.4, 0.7))),
    Task("kick", "kick the ball with your right foot"),
    Task("kick", "walk to the ball and kick it with your left foot", on_floor("ball", 1.0)),
    Task("sit", "sit down on the chair, then stand up"),
    Task("sit", "sit down on the stool for two seconds, then stand up", on_floor("stool", 0.8)),
    Task("pick up a box", "walk to the table and pick up the box"),
    Task("pick up a box", "walk to the table and pick up the box", on_table("box", **BOX)),
    Task("pick up a box from the floor", "pick up the box from the floor"),
    Task("pick up a box from the floor", "pick up the box from the floor", on_floor("box", 0.5, **BOX)),
    Task("carry a box", "pick up the box, carry it two metres and put it down"),
    Task("carry a box", "pick up the box, carry it two metres and put it down", on_table("box", **BOX)),
    Task("bottle into basket", "walk to the table, pick up the bottle with your left hand and put it into the basket"),
    Task("bottle into basket", "pick up the bottle with your left hand and put it into the basket", bottle_and_basket),
    Task("door", "push the door open and walk through"),
    Task("round an obstacle", "walk around the chair to the basket"),
    Task("round an obstacle", "walk to the basket", obstacle),
    *(  # the nine of ExoActor's paper, arXiv 2604.27711
        Task("paper", instruction, scene)
        for instruction, scene in (
            ("walk to the bottle", on_table("bottle")),
            ("walk to the basket", obstacle),
            ("walk around the chair", on_floor("chair", 1.2)),
            ("sweep the bottle off the table", on_table("bottle")),
            ("sit down on the chair", on_floor("chair", 1.0)),
            ("pick up the box and stand up", on_table("box", **BOX)),
            ("pass under the bar", None),
            ("step over the bar", None),
            ("wipe the table", on_table("sponge")),
            ("put the bottle into the basket", bottle_and_basket),
            ("put the bottle into the bin", bottle_and_bin),
        )
    ),
    Task("carry a box", "pick up the box, carry it to the stand and put it on the stand", box_and_stand),
    Task("object moved", "walk to the table and pick up the box", on_table("box", **BOX), moved=True),
    Task(
        "object moved", "walk to the table and pick up the bottle with your left hand", on_table("bottle"), moved=True
    ),
    Task("object moved", "pick up the box from the floor", on_floor("box", 1.0, **BOX), moved=True),
    Task("distance", "walk forward two metres", metres=2.0),
    Task("distance", "walk one metre backward", metres=1.0),
    Task("distance", "walk one and a half metres to the left", metres=1.5),
)


def rehearsed(motion: RobotMotion, interaction: Interaction | None, really: Scene | None) -> dict[str, Any]:
    disturbance = Disturbance(scene=really) if really is not None else None
    try:
        tracking = Rehearsal(variations=0)(motion, disturbance=disturbance, interaction=interaction)
    except ExoActorError as error:
        return {"success": False, "fell": False, "reasons": [str(error)]}
    metrics = tracking.metrics
    passed = bool(metrics.get("task_success", metrics["success"]))
    return {
        "success": passed and not metrics["refused"],
        "gate_alone": passed and bool(metrics["refused"]),
        "fell": bool(metrics["fell"]),
        "reasons": [*([metrics["reason"]] if metrics["reason"] else []), *metrics["refused"]],
        "contact_errors": metrics["contact_errors"],
        "walked": metrics["moved"],
    }


def retargeted(task: Task, request: GenerateRequest, seed: int, video: bool) -> tuple[Motions, Interaction | None]:
    """Robot motions, ours and the baseline's, and the objects at their assumed poses."""
    generation = load_backend("generate", "mannequin", seed=seed)(request)
    human, interaction = generation.truth, generation.interaction
    if video:
        estimate = load_backend("estimate", "mediapipe")(generation.video)
        human = estimate.motion
        interaction = interaction and interaction.within(*estimate.metrics["motion_s"])
    assert human is not None  # the mannequin provides it
    if task.moved and interaction is not None:
        interaction = replace(interaction, scene=elsewhere(interaction.scene, np.random.default_rng(seed)))
    retarget = load_backend("retarget", "trajectory_ik")
    ours = retarget(human, interaction=interaction or Interaction()).motion  # as in the pipeline
    return {"ours": ours, "baseline": replace(retarget(human).motion, object_contacts=())}, interaction


def figures(number: int, first_seed: int, tries: int, perturbations: int, video: bool) -> dict[str, Any]:
    """Results of one task, ours and the baseline's, unperturbed first."""
    task = TASKS[number % len(TASKS)]
    seed = first_seed + number
    scene = task.scene(np.random.default_rng(seed)) if task.scene else None
    result: dict[str, Any] = {"kind": task.kind, "instruction": task.instruction, "seed": seed, "given": bool(scene)}
    runs: dict[str, list[dict[str, Any]]] = {}
    last: dict[str, tuple[RobotMotion, Interaction | None]] = {}
    for attempt in range(1 + tries):
        request = GenerateRequest(task.instruction, scene=scene, attempt=attempt)
        try:
            motions, interaction = retargeted(task, request, seed, video)
        except ExoActorError as error:
            result.setdefault("refused", []).append(str(error))
            continue
        for name, motion in motions.items():
            if not (name in runs and runs[name][0]["success"]):
                runs[name] = [rehearsed(motion, interaction, None) | {"attempt": attempt}]
                last[name] = motion, interaction
        if all(run[0]["success"] for run in runs.values()):
            break
    for name, (motion, interaction) in last.items():
        for k in range(1, perturbations + 1):
            really = perturbed(interaction.scene, np.random.default_rng([seed, k])) if interaction else None
            runs[name].append(rehearsed(motion, interaction, really))
        for run in runs[name] if task.metres else ():
            run["distance_error"] = abs(run.get("walked", 0.0) / task.metres - 1.0)
    return result | runs


def distribution(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"mean": round(float(np.mean(values)), 3), "p90": round(float(np.quantile(values, 0.9)), 3)}


def summary(results: list[dict[str, Any]], name: str) -> dict[str, Any]:
    failed = [{"success": False, "fell": False}]
    runs = [run for result in results for run in result.get(name, failed)]
    firsts = [result.get(name, failed)[0] for result in results]
    return {
        "runs": len(runs),
        "success": round(float(np.mean([run["success"] for run in runs])), 3),
        "at_first_try": round(float(np.mean([run["success"] and not run["attempt"] for run in firsts])), 3),
        "refused_by_gate_alone": round(float(np.mean([run.get("gate_alone", False) for run in runs])), 3),
        "no_fall": round(float(np.mean([not run["fell"] for run in runs])), 3),
        "hand_error_m": distribution([error for run in runs for error in run.get("contact_errors", [])]),
        "distance_error": distribution([run["distance_error"] for run in runs if "distance_error" in run]),
    }


def main(
    each: Annotated[int, typer.Option(help="Number of seeds per task.")] = 4,
    tries: Annotated[int, typer.Option(help="Retries of a failed task with other videos.")] = 2,
    perturbations: Annotated[int, typer.Option(help="Perturbed rehearsals per task.")] = 5,
    video: Annotated[bool, typer.Option(help="Estimate the human motion from the video.")] = True,
    only: Annotated[str, typer.Option(help="Kind of tasks; empty: all.")] = "",
    first_seed: Annotated[int, typer.Option(help="First seed; for development any small number.")] = REPORTED_SEED,
    jobs: int = 2,
) -> None:
    """Run all tasks."""
    chosen = [i + k * len(TASKS) for i, task in enumerate(TASKS) if only in ("", task.kind) for k in range(each)]
    results = []
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool, progress_bars() as bars:
        progress = bars("tasks")
        futures = [pool.submit(figures, number, first_seed, tries, perturbations, video) for number in chosen]
        for future in as_completed(futures):
            results.append(future.result())
            progress(len(results) / len(futures), f"{len(results)} of {len(futures)}: {results[-1]['instruction']}")
    kinds = dict.fromkeys(result["kind"] for result in results)
    by_kind = {kind: [r for r in results if r["kind"] == kind] for kind in kinds} | {"all": results}
    table = {kind: {name: summary(rs, name) for name in ("ours", "baseline")} for kind, rs in by_kind.items()}
    print(json.dumps({"summary": table, "tasks": results}, indent=2))


if __name__ == "__main__":
    typer.run(main)
