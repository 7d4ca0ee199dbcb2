"""Pixels at which a camera of the fit sees points: what estimators are tested with."""

import numpy as np


def project(camera, points):
    """World points (..., 3) m -> pixels (..., 2) of an `exoactor_pose.fitting.camera.Camera`."""
    p = (points - [0.0, 0.0, camera.height]) @ camera.rotation.T
    return p[..., :2] / np.maximum(p[..., 2:], 0.1) * [camera.fx, camera.fy] + [camera.cx, camera.cy]
