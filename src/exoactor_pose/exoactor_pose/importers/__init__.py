"""Importers of other estimators' result files, recognised by content, as `HumanMotion`.

Each module in this package reads one layout and names its source. All return a `HumanMotion` with z up and the floor at
0, starting at the origin facing +x, of the project's own body with the person's height.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from exoactor_core.body import BodyModel
from exoactor_core.bvh import load_bvh
from exoactor_core.errors import BadInput
from exoactor_core.motion import HumanMotion
from exoactor_core.stages import Estimate, Metrics
from exoactor_pose.importers import amass, contents, gvhmr, phalp, prompthmr, tram, wham
from exoactor_pose.importers.placement import human_motion, on_floor
from exoactor_pose.quality import clip_figures

READERS = (gvhmr, wham, tram, prompthmr, phalp, amass)
SUPPORTED_FORMATS = (
    "GVHMR's hmr4d_results.pt, GEM's smpl_params.pt, WHAM's wham_output.pkl, TRAM's results folder, "
    "PromptHMR's results.pkl, the .pkl of PHALP and 4D-Humans, AMASS .npz, and .bvh"
)
DEFAULT_FPS = 30.0
NOTED_GAP_SECONDS = 0.3
"""s for which a person may be missing without a note."""
_NO_RATE = f"{{}} does not say the video's frame rate: {DEFAULT_FPS:.0f} was taken; set fps to another."


def recognises(path: str | Path) -> bool:
    """Whether the file (or TRAM's folder) may contain a motion, by its first bytes; False for a video."""
    return bool(contents.kind(Path(path)))


def load_human(path: str | Path) -> HumanMotion:
    """The motion of a result file, with notes on how it was read; raises as `read`."""
    estimate = read(path)
    return replace(estimate.motion, notes=tuple(estimate.metrics["notes"]))


def read(path: str | Path, person: str = "", fps: float = 0.0) -> Estimate:
    """Read a result file, or TRAM's folder.

    ``person`` is the person's id in the file (empty: whoever is visible longest), ``fps`` the frame rate of the
    original video; 0: as stated in the file, or 30.

    Raises
    ------
    BadInput
        The file is damaged, contains more than plain arrays, has an unknown layout, or has no such person.
    Missing
        PyTorch is needed and not installed.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"There is no file {path}.")
    if path.is_file() and not path.stat().st_size:
        raise BadInput(f"{path} is empty.")
    kind = contents.kind(path)
    if kind == "bvh":
        source = load_bvh(path)
        motion = on_floor(source, BodyModel.load(), find_contacts=True)
        return Estimate(motion, metrics=_metrics("BVH", motion) | {"notes": list(source.notes)})
    data, objects = contents.load(path) if kind else (None, ())
    if isinstance(data, dict) and {"contacts", "confidence"} <= data.keys():  # our own, unchanged
        motion = HumanMotion.load(path)
        return Estimate(motion, metrics=_metrics("ExoActor", motion) | {"notes": []})
    reader = next((reader for reader in READERS if isinstance(data, dict) and reader.tool(data)), None)
    if reader is None:
        holds = "it is of another kind ('exoactor estimate' reads videos)"
        if isinstance(data, dict):
            names = [str(name)[:30] for name in data]
            holds = f"it holds {', '.join(names[:8])}{' and more' if len(names) > 8 else ''}"
        raise BadInput(f"{path} is not a motion that can be read: {holds}. Supported are {SUPPORTED_FORMATS}.")
    tool = reader.tool(data)
    try:
        recording = reader.read(data)
        name = _choose(recording.people, person)
        motion = human_motion(recording.people[name], fps or recording.fps or DEFAULT_FPS)
    except BadInput as error:
        raise BadInput(f"{path} ({tool}): {error}") from None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is not as {tool} writes it: {error!r}.") from None
    metrics = _metrics(tool, motion) | {
        "person": name,
        "people": len(recording.people),
        "interpolated_frames": int(len(motion) - len(recording.people[name].frames)),
        "notes": [
            *(f"{name} holds Python objects, which are not read." for name in objects),
            *recording.notes,
            *([] if fps or recording.fps else [_NO_RATE.format(tool)]),
            *_gap_notes(recording.people[name].frames, motion.fps),
        ],
    }
    return Estimate(motion, metrics=metrics)


def _choose(people: dict, person: str) -> str:
    if not people:
        raise BadInput("nobody is in it.")
    if person and person not in people:
        known = ", ".join(f"{name} ({len(p.frames)} frames)" for name, p in people.items())
        raise BadInput(f"there is no person '{person}': there are {known}.")
    return person or max(people, key=lambda name: len(people[name].frames))


def _gap_notes(frames: np.ndarray, fps: float) -> list[str]:
    """Sentences on longer gaps of the person, in seconds from the motion's start."""
    seconds = (frames - frames[0]) / fps
    return [
        f"The person is not seen from {seconds[k]:.1f} to {seconds[k + 1]:.1f} s: what is there is interpolated."
        for k in np.flatnonzero(np.diff(seconds) > NOTED_GAP_SECONDS)
    ]


def _metrics(tool: str, motion: HumanMotion) -> Metrics:
    """Source of the motion, and its quality figures as far as they need no image."""
    seen, unknown = np.asarray(motion.confidence) > 0, np.zeros(len(motion))
    figures = clip_figures(motion, BodyModel.load(), seen, unknown, 1.0)
    figures["per_frame"].pop("reprojection_px")
    return {"source": tool, "fps": motion.fps} | {k: v for k, v in figures.items() if "reprojection" not in k}
