"""Facts on the Dex3-1 that tests hold the URDF, the targets and grasps against.

Ranges are those of Unitree's ``dex3_1_l.urdf`` and ``dex3_1_r.urdf``: the right hand mirrors the left.
"""

import numpy as np

_LEFT_RANGE = np.array([(-1.047, 1.047), (-0.724, 1.047), (0.0, 1.745), *[(-1.571, 0.0), (-1.745, 0.0)] * 2])
HAND_LIMITS = np.stack([_LEFT_RANGE, np.stack([-_LEFT_RANGE[:, 1], -_LEFT_RANGE[:, 0]], 1)])
"""(2, 7, 2) rad: left and right hand, motor, lower and upper."""
GRASP_POINT = (0.08, 0.05)
"""m from the origin of the palm's link, along the fingers (+x) and the way in which they close (-y of the left hand, +y
of the right): where the axis of an upright bottle of 66 to 90 mm is held best in simulation (test_simulation.py)."""
