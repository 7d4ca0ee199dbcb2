"""What every stage shares: types, stage contracts, errors, files, models and rendering; no ROS, no DDS."""

import os

if os.environ.get("MUJOCO_GL", "").lower() == "osmesa":
    # `exoactor_core.offscreen` renders with OSMesa anyway. If the variable named it, mujoco would load it with global
    # symbols when it is imported, and Triton would crash when it is imported after that.
    del os.environ["MUJOCO_GL"]
