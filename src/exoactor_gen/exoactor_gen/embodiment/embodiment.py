"""Embodiment transfer: the robot in an image of the scene is replaced with a person of its size and position.

Video models know how people move, but hardly how robots do; and pose estimators are made for people.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from exoactor_core.errors import BadInput, Refused
from exoactor_core.stages import PersonDetection, load_backend
from exoactor_gen.embodiment.editors import Edit, LocalEditor, load_editor
from exoactor_gen.image import fitted
from exoactor_gen.options import VideoModelOptions, attempt_seed
from exoactor_gen.waiting import Tick

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, px."""
VERSION = "embodiment 1"
"""Recorded with images that were made with this wording:"""
PROMPT = (
    "Replace the humanoid robot in this picture with one real adult person in tight, plain sports clothing and flat "
    "shoes. The person stands on exactly the same spot, is exactly as tall in the picture as the robot, faces the "
    "same way, and has the same pose of arms, legs and head. The whole person is seen from head to soles. Everything "
    "else in the picture stays exactly as it is: room, things, light, shadows, camera."
)
NEGATIVE = "robot, a second person, cropped body, other camera view, changed room, loose clothes, text, watermark"
MIN_OVERLAP = 0.4
"""Minimum intersection over union of the robot's and the person's boxes."""
HEIGHT_RATIOS = 0.75, 1.35
"""Range of the person's height relative to the robot's in the image."""
MIN_CHANGED_SHARE = 0.15
"""Share of the robot's box that must have changed; otherwise the robot, which resembles a person, is still there."""
MAX_CHANGED_BACKGROUND = 0.4
"""Share of the rest of the image that may have changed."""


class Embodiment:
    """Replaces the robot in an image with a person, and checks the result.

    ``edit`` edits images, ``find`` finds people, and robots of their shape. There are ``tries`` attempts, with
    consecutive seeds from ``seed``. ``robot`` is the robot's box; None: where something of human shape is found, or
    else where the image was changed.
    """

    def __init__(
        self,
        edit: Edit,
        find: Callable[[np.ndarray], list[PersonDetection]],
        tries: int = 4,
        seed: int = 0,
        robot: Box | None = None,
    ) -> None:
        self.edit, self.find, self.tries, self.seed, self.robot = edit, find, tries, seed, robot

    def __call__(
        self, image: np.ndarray | None, tick: Tick = lambda: None, attempt: int = 0
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Replace the robot in an image of its scene, (H, W, 3) uint8 RGB, with a person.

        Attempts (of the video, from 0) share no seeds. Returns the image with the person, of the same size, and its
        record.

        Raises
        ------
        BadInput
            There is no image, or it is unclear where the robot is.
        Refused
            No attempt succeeded; the message has the reason for each.
        ExoActorError
            As the editor.
        """
        if image is None:
            raise BadInput("The option embody is set, but there is no image with the robot: give one (--image).")
        robot = self.robot or self._robot(image)
        reasons: list[str] = []
        try:
            for number in range(self.tries):
                tick()
                seed = attempt_seed(self.seed, attempt * self.tries + number)
                edited = self.edit(image, PROMPT, NEGATIVE, seed, tick)
                edited = fitted(edited, (image.shape[1], image.shape[0]))
                figures = self.find(edited)
                mask = difference(image, edited)
                box = robot or box_of(mask)
                wrong = misfit(figures, box, mask)
                if not wrong:
                    record = {
                        "seed": seed,
                        "tries": number + 1,
                        "refused": reasons,
                        "overlap": round(overlap(figures[0].box, box), 3),
                        "height_ratio": round(_height(figures[0].box) / _height(box), 3),
                        "robot": [round(v) for v in box],
                        "robot_found_by": "option" if self.robot else "shape" if robot else "change",
                        "template": VERSION,
                    }
                    return edited, record
                reasons.append(f"seed {seed}: {wrong}")
        finally:
            if isinstance(self.edit, LocalEditor):
                self.edit.free()
        raise Refused(
            f"The robot in the image did not become a person in {self.tries} tries ({'; '.join(reasons)}): try "
            "another seed, editor or image, or give an image with a person (without the option embody)."
        )

    def _robot(self, image: np.ndarray) -> Box | None:
        """Box of the robot, if it resembles a person."""
        figures = self.find(image)
        if len(figures) > 1:
            raise BadInput(
                f"{len(figures)} figures of a person's shape are in the image: give one with the robot alone, or say "
                "where the robot is with the option robot."
            )
        return figures[0].box if figures else None


def load_embodiment(options: VideoModelOptions) -> Embodiment | None:
    """Create the transfer for a generator's options; None if ``embody`` is empty.

    Raises
    ------
    BadInput
        An option is wrong.
    Missing
        The editor's key, weights or library, or the detector, is missing.
    """
    if not options.embody:
        return None
    box: Box | None = None
    if options.robot.strip():
        try:
            left, top, right, bottom = (float(v) for v in options.robot.split(","))
        except ValueError:
            left = top = right = bottom = 0.0
        if not (0 <= left < right and 0 <= top < bottom):
            raise BadInput(f"The option robot is '{options.robot}', but left,top,right,bottom in pixels is needed.")
        box = left, top, right, bottom
    edit = load_editor(options.embody, options.embody_url)
    return Embodiment(edit, load_backend("people", "mediapipe"), options.embody_tries, options.seed, box)


def misfit(figures: list[PersonDetection], box: Box, mask: np.ndarray) -> str:
    """Why the people in an edited image are not one whole person at the robot's position; empty if they are.

    ``mask`` (H, W) bool is where the image was changed.
    """
    if not figures:
        return "nobody is in the image"
    if len(figures) > 1:
        return f"{len(figures)} people are in the image"
    if not figures[0].full_body:
        return "the person is not seen from head to feet"
    shared, ratio = overlap(figures[0].box, box), _height(figures[0].box) / max(_height(box), 1.0)
    if not HEIGHT_RATIOS[0] <= ratio <= HEIGHT_RATIOS[1]:
        return f"the person is {ratio:.2f} times as tall as the robot"
    if shared < MIN_OVERLAP:
        return f"the person stands elsewhere (boxes overlap by {shared:.2f})"
    left, top, right, bottom = (round(v) for v in box)
    if mask[top:bottom, left:right].mean() < MIN_CHANGED_SHARE:
        return "the robot is still there"
    rest = mask.copy()
    rest[top:bottom, left:right] = False
    if rest.mean() > MAX_CHANGED_BACKGROUND:
        return f"the rest of the image was changed too ({rest.mean():.0%} of it)"
    return ""


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    sides = [max(0.0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1)]
    shared = sides[0] * sides[1]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / max(sum(areas) - shared, 1e-9)


def difference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Changed parts of an image, (H, W) bool: where it differs much more than elsewhere.

    Editors generate the whole image anew, with small differences everywhere.
    """
    size = max(3, round(max(before.shape) / 100)) | 1
    old, new = (cv2.GaussianBlur(image.astype(np.float32), (size, size), 0) for image in (before, after))
    distance = np.abs(old - new).max(axis=2)
    mask = (distance > np.clip(4.0 * float(np.median(distance)), 25.0, 50.0)).astype(np.uint8)
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((size, size), np.uint8)).astype(bool)


def box_of(mask: np.ndarray) -> Box:
    """Bounding box of the changed parts.

    If the person is not where the robot was, it is one large box, which the person does not fill.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _height(box: Box) -> float:
    return box[3] - box[1]
