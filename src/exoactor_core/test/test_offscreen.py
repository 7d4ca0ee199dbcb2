import importlib.util
import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from exoactor_core import offscreen
from exoactor_core.errors import Missing
from exoactor_core.offscreen import OffscreenRenderer

BALL = """
<mujoco>
  <worldbody><light pos="0 0 3"/><geom type="sphere" size="0.3" pos="0 0.2 0.5" rgba="1 0 0 1"/></worldbody>
</mujoco>
"""
RENDER = """
from exoactor_core.render import render_motion
from exoactor_core.robot import standing_motion
assert 60 < next(render_motion(standing_motion(), width=64, height=64)).mean() < 200
"""


def python(script, **environment):
    return subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )


def test_top_row_comes_first_and_a_smaller_image_is_rendered_into_the_corner():
    model = mujoco.MjModel.from_xml_string(BALL)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = mujoco.MjvCamera()
    camera.distance, camera.azimuth, camera.elevation = 3.0, 0.0, 0.0
    with OffscreenRenderer(model, 80, 60, 10) as renderer:
        renderer.update(data, camera)
        whole, small = renderer.render(), renderer.render(40, 30)
    assert whole.shape == (60, 80, 3)
    assert small.shape == (30, 40, 3)
    rows, columns = np.nonzero(whole[..., 0] > 40)
    assert rows.mean() < 30  # above the middle
    assert columns.mean() < 40  # y is to the left
    np.testing.assert_allclose(
        np.argwhere(small[..., 0] > 40).mean(axis=0), [rows.mean() / 2, columns.mean() / 2], atol=1
    )


@pytest.mark.parametrize("mujoco_gl", ["", "osmesa"])
def test_rendering_leaves_no_global_symbols_behind(mujoco_gl):
    """Triton's LLVM would be bound to OSMesa's."""
    script = (
        RENDER
        + """
import ctypes
symbols = ctypes.CDLL(None)
assert not hasattr(symbols, "OSMesaMakeCurrent"), "OSMesa is global"
assert not hasattr(symbols, "LLVMContextCreate"), "LLVM is global"
"""
    )
    done = python(script, MUJOCO_GL=mujoco_gl)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="Triton is not installed: PyTorch for the CPU only")
def test_triton_is_imported_after_rendering():
    done = python(RENDER + "import triton._C.libtriton")
    assert done.returncode == 0, done.stderr


def test_no_library_to_render_with(monkeypatch):
    monkeypatch.setattr(offscreen.ctypes.util, "find_library", lambda name: None)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    with pytest.raises(Missing, match="libosmesa6"):
        OffscreenRenderer(mujoco.MjModel.from_xml_string(BALL), 16, 16, 10)
