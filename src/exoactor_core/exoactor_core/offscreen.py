"""Off-screen rendering of MuJoCo models, with Mesa's software renderer or, with ``MUJOCO_GL=egl``, on a GPU."""

from __future__ import annotations

import atexit
import ctypes
import ctypes.util
import os
import sys
from typing import Protocol

import mujoco
import numpy as np

from exoactor_core.errors import Missing


class GLContext(Protocol):
    """An OpenGL context that draws into memory."""

    def make_current(self) -> None:
        """Bind the context to this thread."""

    def free(self) -> None:
        """Release the context."""


class OffscreenRenderer:
    """Renders a model's scene, of at most ``max_geom`` geoms, into an array.

    `mujoco.Renderer` does the same with the OpenGL library that was chosen when mujoco was first imported; its OSMesa
    is loaded with global symbols (see `_OSMesaContext`). ``width`` and ``height`` are the off-screen framebuffer's, px;
    the model's ``vis.global_.offwidth`` and ``offheight`` must hold it.

    Raises
    ------
    Missing
        There is no OpenGL library to render with.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int, max_geom: int) -> None:
        self.width, self.height = width, height
        self.scene = mujoco.MjvScene(model, maxgeom=max_geom)
        """Filled by `update`; may be changed before `render`."""
        self._model, self._option = model, mujoco.MjvOption()
        self._gl = _make_context(width, height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        atexit.register(self._free)  # in case a generator is never exhausted

    def __enter__(self) -> OffscreenRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        if not sys.is_finalizing():
            atexit.unregister(self._free)
            self._free()

    def _free(self) -> None:
        self._gl.make_current()
        self._context.free()
        self._gl.free()

    def update(self, data: mujoco.MjData, camera: mujoco.MjvCamera) -> None:
        """Fill the scene with what the camera sees."""
        every_category = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, data, self._option, None, camera, every_category, self.scene)

    def render(self, width: int | None = None, height: int | None = None) -> np.ndarray:
        """Render the scene: (height, width, 3) uint8 RGB, top row first; as large as the framebuffer if not given."""
        viewport = mujoco.MjrRect(0, 0, width or self.width, height or self.height)
        pixels = np.empty((viewport.height, viewport.width, 3), dtype=np.uint8)
        self._gl.make_current()  # another renderer may have been current
        mujoco.mjr_render(viewport, self.scene, self._context)
        mujoco.mjr_readPixels(pixels, None, viewport, self._context)
        return pixels[::-1]  # OpenGL's rows begin at the bottom


def _make_context(width: int, height: int) -> GLContext:
    try:
        if os.environ.get("MUJOCO_GL", "").lower() == "egl":
            from mujoco.egl import GLContext as EGLContext

            return EGLContext(width, height)
        return _OSMesaContext(width, height)
    except (ImportError, AttributeError, OSError) as error:
        raise Missing(
            f"Off-screen rendering needs OpenGL: {error}. Install libosmesa6, or set MUJOCO_GL=egl with a GPU."
        ) from None


class _OSMesaContext:
    """A software context, loaded with local symbols.

    mujoco.osmesa loads OSMesa through PyOpenGL with global symbols, its LLVM with it. An extension module that brings
    an LLVM of its own and is imported later, such as Triton, which PyPI's PyTorch depends on, is then bound to
    OSMesa's LLVM and crashes. MuJoCo itself finds the library among those that are loaded.

    Constants and signatures: Mesa's GL/osmesa.h and GL/gl.h.
    """

    _RGBA, _FLOAT = 0x1908, 0x1406
    _DEPTH_BITS, _STENCIL_BITS = 24, 0

    def __init__(self, width: int, height: int) -> None:
        name = ctypes.util.find_library("OSMesa")
        if name is None:
            raise OSError("libOSMesa is not installed")
        self._library = library = ctypes.CDLL(name, mode=ctypes.RTLD_LOCAL)
        library.OSMesaCreateContextExt.restype = ctypes.c_void_p
        library.OSMesaCreateContextExt.argtypes = [ctypes.c_uint, *[ctypes.c_int] * 3, ctypes.c_void_p]
        library.OSMesaMakeCurrent.restype = ctypes.c_ubyte
        library.OSMesaMakeCurrent.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, *[ctypes.c_int] * 2]
        library.OSMesaDestroyContext.argtypes = [ctypes.c_void_p]
        self._buffer = np.zeros((height, width, 4), dtype=np.float32)
        self._context = library.OSMesaCreateContextExt(self._RGBA, self._DEPTH_BITS, self._STENCIL_BITS, 0, None)
        if not self._context:
            raise OSError("OSMesa creates no context")

    def make_current(self) -> None:
        height, width, _ = self._buffer.shape
        if not self._library.OSMesaMakeCurrent(self._context, self._buffer.ctypes.data, self._FLOAT, width, height):
            raise OSError("OSMesa cannot make its context current")

    def free(self) -> None:
        self._library.OSMesaDestroyContext(self._context)  # also unbinds it if it is current
