"""Backend ``vitpose``: RT-DETR or D-FINE finds people, ViTPose places keypoints; both run through ``transformers``.

A ViTPose of COCO-WholeBody (133 keypoints) provides body, feet, face and hands; one of COCO (17) the body only. Neither
provides depth, which the fit infers from the body's proportions. Order of the keypoints: Jin et al., "Whole-Body Human
Pose Estimation in the Wild" (ECCV 2020); the face's 68 points are iBUG's.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval

from exoactor_core.errors import BadInput, Missing, reason
from exoactor_core.hub import local_first
from exoactor_core.optional import missing_extra
from exoactor_pose.detection.anatomy import LANDMARK_NAMES
from exoactor_pose.detection.detectors import Detector, Pose
from exoactor_pose.detection.people import Person
from exoactor_pose.estimator import VideoEstimator

WHOLE_BODY_KEYPOINTS, BODY_KEYPOINTS = 133, 17
FIRST_HAND_KEYPOINTS = (91, 112)
"""First keypoints of the left and the right hand; their 21 are in MediaPipe's order."""
_FACE = 23
_PAIRED = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_COCO = ("nose", *(f"{side}_{part}" for part in _PAIRED for side in ("left", "right")))
_WHOLE = {
    "left_foot_index": 17, "left_heel": 19, "right_foot_index": 20, "right_heel": 22,
    "right_eye_outer": _FACE + 36, "right_eye_inner": _FACE + 39,
    "left_eye_inner": _FACE + 42, "left_eye_outer": _FACE + 45, "right_mouth": _FACE + 48, "left_mouth": _FACE + 54,
    **{f"{side}_{part}": first + k for side, first in zip(("left", "right"), FIRST_HAND_KEYPOINTS, strict=True)
       for part, k in (("thumb", 2), ("index", 5), ("pinky", 17))},
}  # fmt: skip
_NEAREST = {
    **dict.fromkeys(("eye", "mouth"), "eye"),
    **dict.fromkeys(("thumb", "index", "pinky"), "wrist"),
    **dict.fromkeys(("heel", "foot"), "ankle"),
}
"""If COCO lacks a point: the closest one that it has."""
WHOLE_BODY_EXPERT = 5
"""Index of the expert for COCO-WholeBody among ViTPose++'s experts, one per data set; the first is COCO's."""


def landmarks_of(keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """MediaPipe's 33 landmarks, and both hands where they are there, from COCO's or COCO-WholeBody's keypoints.

    These are (17, 3) or (133, 3): x px, y px, confidence.

    Returns
    -------
    Landmarks (33, 3), on the nearest point with confidence 0 where COCO has none, and hands (2, 21, 3) or None.
    """
    image = np.zeros((33, 3))
    for number, name in enumerate(LANDMARK_NAMES):
        if name in _COCO:
            image[number] = keypoints[_COCO.index(name)]
        elif len(keypoints) == WHOLE_BODY_KEYPOINTS:
            image[number] = keypoints[_WHOLE[name]]
        else:
            side, part = name.split("_")[:2]
            image[number, :2] = keypoints[_COCO.index(f"{side}_{_NEAREST[part]}"), :2]
    hands = [keypoints[first : first + 21] for first in FIRST_HAND_KEYPOINTS]
    return image, np.stack(hands) if len(keypoints) == WHOLE_BODY_KEYPOINTS else None


class VitposeDetector:
    """People by RT-DETR or D-FINE, keypoints by ViTPose, ``batch`` frames at once.

    The models are repository ids on the Hugging Face hub, or folders written by ``save_pretrained``. Detections below
    ``min_confidence``, in [0, 1], are ignored. ``device`` is a PyTorch device such as "cpu" or "cuda"; "auto" is CUDA
    if available.

    Raises
    ------
    Missing
        ``transformers``, a model or the device is missing.
    BadInput
        A model is of another kind.
    """

    def __init__(
        self, person_model: str, pose_model: str, min_confidence: float = 0.5, device: str = "auto", batch: int = 8
    ) -> None:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        try:
            import torch
            from transformers import AutoImageProcessor, AutoModelForObjectDetection, VitPoseForPoseEstimation
            from transformers.utils.logging import disable_progress_bar
        except ImportError as error:
            raise missing_extra("The backend vitpose", "torch and transformers", error) from None
        disable_progress_bar()
        self.batch, self.min_confidence, self._torch = batch, min_confidence, torch
        name = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        self._person_processor, self._person = _load(person_model, AutoImageProcessor, AutoModelForObjectDetection)
        self._pose_processor, self._pose = _load(pose_model, AutoImageProcessor, VitPoseForPoseEstimation)
        try:
            self._device = torch.device(name)
            self._person.to(self._device).eval()
            self._pose.to(self._device).eval()
        except (RuntimeError, AssertionError) as error:
            raise Missing(f"The device '{name}' cannot be used: {reason(error)}.") from None
        labels = self._person.config.id2label
        self._labels = {int(k) for k, v in labels.items() if str(v).lower() == "person"}
        if not self._labels:
            raise BadInput(f"The model {person_model} finds no people: none of its {len(labels)} labels is 'person'.")
        points = self._pose.config.num_labels
        if points not in (BODY_KEYPOINTS, WHOLE_BODY_KEYPOINTS):
            raise BadInput(
                f"The model {pose_model} gives {points} keypoints, but {BODY_KEYPOINTS} or {WHOLE_BODY_KEYPOINTS} "
                "are supported."
            )
        experts = getattr(self._pose.config.backbone_config, "num_experts", 1)
        whole_body = points == WHOLE_BODY_KEYPOINTS and experts > WHOLE_BODY_EXPERT
        self._expert = None if experts < 2 else WHOLE_BODY_EXPERT if whole_body else 0

    def find_people(self, frames: list[np.ndarray]) -> list[list[Person]]:
        """The people in every frame."""
        outputs = self._run(self._person, self._person_processor(images=frames, return_tensors="pt"))
        found = self._person_processor.post_process_object_detection(
            outputs, threshold=self.min_confidence, target_sizes=[frame.shape[:2] for frame in frames]
        )
        people = []
        for frame, each in zip(frames, found, strict=True):
            limit = np.array([frame.shape[1], frame.shape[0]] * 2)
            boxes = np.clip(each["boxes"].cpu().numpy().astype(float), 0, limit)
            labels = each["labels"].tolist()
            people.append([_person(box) for box, label in zip(boxes, labels, strict=True) if label in self._labels])
        return people

    def find_landmarks(self, frames: list[np.ndarray], people: list[Person]) -> list[Pose | None]:
        """The landmarks of one person in every frame."""
        boxes = [[person.region] for person in people]
        inputs = self._pose_processor(frames, boxes=boxes, return_tensors="pt")
        if self._expert is not None:
            inputs["dataset_index"] = self._torch.full((len(frames),), self._expert)
        outputs = self._run(self._pose, inputs)
        poses: list[Pose | None] = []
        for (found,) in self._pose_processor.post_process_pose_estimation(outputs, boxes=boxes):
            scores = found["scores"].cpu().numpy().reshape(-1, 1).clip(0.0, 1.0)
            image, hands = landmarks_of(np.hstack([found["keypoints"].cpu().numpy(), scores]).astype(float))
            poses.append(Pose(image, hands=hands))
        return poses

    def close(self) -> None:
        """Nothing to release."""

    def _run(self, model: Any, inputs: Any) -> Any:
        with self._torch.inference_mode():
            return model(**inputs.to(self._device))


def _person(box: np.ndarray) -> Person:
    """A person in a box x0, y0, x1, y1 px; the region is its corner, width and height, for ViTPose's processor."""
    low, high = box[:2], box[2:]
    return Person((low + high) / 2, float((high - low).max()), [*low.tolist(), *(high - low).tolist()])


def _load(name: str, processors: Any, models: Any) -> tuple[Any, Any]:
    """The processor and the model from a folder, the local cache, or the hub."""
    where = str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name
    logging.getLogger("httpx").setLevel(logging.WARNING)

    def load(**options: Any) -> tuple[Any, Any]:
        return processors.from_pretrained(where, **options), models.from_pretrained(where, **options)

    try:
        return local_first(load, where == name)
    except OSError as error:
        raise Missing(
            f"The model {name} cannot be loaded ({reason(error)}): connect to the network once, or name a folder "
            "that holds it (config.json, preprocessor_config.json, model.safetensors)."
        ) from None
    except (ValueError, TypeError, RuntimeError) as error:
        raise BadInput(f"The model {name} is of another kind: {reason(error)}.") from None


class VitposeEstimator(VideoEstimator):
    """Video -> Estimate with ViTPose's landmarks, which are better but need a GPU."""

    class Options(VideoEstimator.Options):
        """Options, including those of the models."""

        person_model: str = "PekingU/rtdetr_r50vd_coco_o365"
        """People detector, RT-DETR or D-FINE: repository id on the Hugging Face hub, or folder."""
        pose_model: str = "usyd-community/vitpose-plus-base"
        """ViTPose model with 17 or 133 keypoints: repository id on the hub, or folder. Feet and hands need the 133 of
        COCO-WholeBody."""
        device: str = "auto"
        """cpu, cuda, or auto."""
        batch: Annotated[int, Interval(ge=1, le=1024)] = 8
        """Frames per batch."""

    options: Options

    def open_detector(self) -> Detector:
        """Load the models."""
        given = self.options
        return VitposeDetector(given.person_model, given.pose_model, given.min_confidence, given.device, given.batch)
