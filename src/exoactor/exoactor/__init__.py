"""Common ground of the ExoActor stages: motion types, body and robot models, files, and the ROS glue."""

import os

if os.environ.get("MUJOCO_GL", "").lower() == "osmesa":
    # `exoactor.offscreen` renders with OSMesa anyway. If the variable named it, mujoco would load it with global
    # symbols when it is imported, and Triton would crash when it is imported after that.
    del os.environ["MUJOCO_GL"]
