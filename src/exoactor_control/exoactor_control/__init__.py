"""Rehearse the G1's motion, then track it on the robot, safely."""

import os

# ONNX Runtime 1.32 otherwise records machine and program under ~/.cache and reports them to Microsoft, from the control
# process, too. It reads this when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
