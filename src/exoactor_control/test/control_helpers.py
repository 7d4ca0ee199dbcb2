"""What the tests of this package share."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exoactor_control.policy.policy import Policy
from exoactor_control.reference import trajectory
from exoactor_control.training.whole_body import _ahead, _followed, _Plan
from exoactor_core.motion import RobotMotion
from exoactor_core.robot import STANDING
from exoactor_core.robot_state import RobotState

DATA = Path(os.environ.get("EXOACTOR_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
TWIST2 = DATA / "policies" / "twist2_1017_20k.onnx"
needs_data = pytest.mark.skipif(not TWIST2.is_file(), reason=f"the test data is not in {DATA} (set EXOACTOR_DATA)")


def no_lead_in() -> Any:
    """Within it, motions that begin in mid-stride are not walked into: they are at full speed at once."""
    return patch.object(trajectory, "starting_path", return_value=np.zeros((0, 2)))


def linear_onnx(path, inputs=1432, outputs=29, weight=None, bias=None):
    """Write a network output = input @ weight + bias."""
    weight = np.zeros((inputs, outputs)) if weight is None else weight
    bias = np.zeros(outputs) if bias is None else bias
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["input", "w", "b"], ["output"])],
        "linear",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, inputs])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, outputs])],
        [
            numpy_helper.from_array(weight.astype(np.float32), "w"),
            numpy_helper.from_array(bias.astype(np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def standing_state(time=0.0, **changes):
    """A robot that stands still."""
    state = RobotState(time, STANDING.copy(), np.zeros(29), np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(3))
    return replace(state, **changes)


class Robot:
    """The robot of robot_process.py."""

    def __init__(self, domain):
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).parent / "robot_process.py", str(domain)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def be(self, **what):
        """Tell it what to be; returns what it has got so far."""
        print(json.dumps(what), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def damped(self):
        return self.be()["damped_after_ms"] is not None

    def close(self):
        self.process.kill()
        self.process.wait()


def until(condition, timeout=15.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"still not so after {timeout} s"
        time.sleep(0.01)


def walk_ahead(speed: float, steps: int = 6) -> RobotMotion:
    """Walk straight on at a speed in m/s, from standing to standing, the arms hanging."""
    plan = _Plan()
    plan.stand(0.5)
    seconds, both = 0.5, 0.06
    for k in range(steps):
        plan.step(k % 2, _ahead(plan.feet, k % 2, speed * (seconds + both), 0.0, 0.0), seconds, 0.06, -0.03)
        plan.stand(both, -0.03)
    plan.step(steps % 2, _ahead(plan.feet, steps % 2, 0.0, 0.0, 0.0), seconds, 0.06, 0.0)
    plan.stand(0.6)
    return _followed(plan)


def steps_ahead(policy: Policy) -> int:
    """Number of steps that a policy looks ahead in the reference."""
    parts = [part for observation in policy._observations for part in observation._parts]
    return max(step for part in parts for step in part.steps)
