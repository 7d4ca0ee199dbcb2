"""Common ground of the ExoActor stages: motion types, body and robot models, files, and the ROS glue."""

import os

# MuJoCo decides when it is first imported how it draws; off screen, in software, works on every machine.
os.environ.setdefault("MUJOCO_GL", "osmesa")
