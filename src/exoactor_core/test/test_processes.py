"""Our own processes: their memory."""

from __future__ import annotations

import ctypes

import pytest

from exoactor_core.processes import keep_heap_compact


class _Mallinfo2(ctypes.Structure):
    _fields_ = (
        ("arena", ctypes.c_size_t),
        ("counts", ctypes.c_size_t * 3),
        ("outside", ctypes.c_size_t),
        ("rest", ctypes.c_size_t * 5),
    )


def test_images_stay_outside_the_heap() -> None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("the C library is not glibc 2.33 or newer")
    libc.mallinfo2.restype = _Mallinfo2
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
        ctypes.c_void_p,
        [ctypes.c_size_t],
        [ctypes.c_void_p],
    )
    keep_heap_compact()
    libc.free(libc.malloc(16 * 2**20))  # from here on glibc would take what is smaller from the heap
    before = libc.mallinfo2().outside
    image = libc.malloc(4 * 2**20)
    outside = libc.mallinfo2().outside - before
    libc.free(image)
    assert outside >= 4 * 2**20
