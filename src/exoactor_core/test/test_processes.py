"""Our own processes: their memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

IMAGES = """
import ctypes
from exoactor_core.processes import keep_heap_compact

class Mallinfo2(ctypes.Structure):
    size = ctypes.c_size_t
    _fields_ = (("arena", size), ("counts", size * 3), ("outside", size), ("rest", size * 5))

libc = ctypes.CDLL(None)
if hasattr(libc, "mallinfo2"):
    libc.mallinfo2.restype = Mallinfo2
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    keep_heap_compact()
    libc.free(libc.malloc(16 * 2**20))  # from here on glibc would take what is smaller from the heap
    before = libc.mallinfo2().outside
    libc.malloc(4 * 2**20)
    print(libc.mallinfo2().outside - before)
"""


def test_images_stay_outside_the_heap() -> None:
    """In a process of its own: where the heap has a large gap already, it is used."""
    done = subprocess.run([sys.executable, "-c", IMAGES], capture_output=True, text=True, check=True)
    if not done.stdout:
        pytest.skip("the C library is not glibc 2.33 or newer")
    assert int(done.stdout) >= 4 * 2**20
