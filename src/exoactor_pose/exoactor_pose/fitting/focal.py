"""Focal length of a still camera, chosen such that it best explains the person's motion.

A person who approaches grows in the image. With a long lens this means a long path, longer than the steps of the legs;
and a wide lens shows a near body foreshortened.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from exoactor_core.body import BodyModel
from exoactor_core.stages import Progress, no_progress
from exoactor_pose.detection.landmarks import Landmarks
from exoactor_pose.fitting.camera import Camera
from exoactor_pose.fitting.fit import COMPARISON_ITERATIONS, COMPARISON_RATE, fit
from exoactor_pose.fitting.parallel import in_parallel
from exoactor_pose.fitting.terms import Weights

RATIOS = np.array([0.6, 1.0, 1.9])
"""Focal lengths that are tried, relative to the assumed one."""
MAX_SECONDS = 20.0
"""Maximum part of a stretch that is used."""
OBSERVATIONS = 7.0
"""Number of independent observations per second of video, whose noise is the residual of the best fit."""
MODEL_STD = 0.2
"""Relative standard deviation of the focal length that explains a motion best, however long it is: bodies and landmarks
differ from the model. This and `OBSERVATIONS` come from nine generated clips with fields of view from 30 to 90 degrees,
none of them in a benchmark."""


def focal_ratio(
    seen: Landmarks, camera: Camera, body: BodyModel, person_height: float, progress: Progress = no_progress
) -> tuple[float, float]:
    """Focal length relative to the one assumed of a still camera, and its relative standard deviation.

    The assumed one has the standard deviation `Camera.focal_std`; ``person_height`` is in m.
    """
    if not camera.focal_std:
        return 1.0, camera.focal_std
    stop = seen.start + min(len(seen), round(MAX_SECONDS * seen.fps))
    few = seen.part(seen.start, stop).every(max(1, round(seen.fps / COMPARISON_RATE)))
    if not few.found.any():
        return 1.0, camera.focal_std
    weights = Weights(iterations=COMPARISON_ITERATIONS)

    def cost(ratio: float, progress: Progress) -> float:
        return fit(few, camera.zoomed(ratio, 0.0), body, person_height, weights, progress).cost

    with threadpool_limits(1, user_api="blas"):  # as in each fit, which would otherwise reset it while others run
        costs = np.array(in_parallel([partial(cost, ratio) for ratio in RATIOS.tolist()], progress))
    observations = OBSERVATIONS * len(few) / few.fps
    curve, slope, _ = np.polyfit(np.log(RATIOS), observations * (costs / costs.min() - 1), 2)
    if curve <= 0:  # no minimum
        return 1.0, camera.focal_std
    curve += camera.focal_std**-2
    ratio = np.exp(-slope / (2 * curve))
    return float(np.clip(ratio, RATIOS[0], RATIOS[-1])), min(math.hypot(curve**-0.5, MODEL_STD), camera.focal_std)
