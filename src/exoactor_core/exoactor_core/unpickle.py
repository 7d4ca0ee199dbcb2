"""Reading pickles without executing anything in them.

Plain containers, numeric arrays (numpy 1 and 2), arrays as joblib writes them, and torch tensors are supported, each
through a stand-in class. Anything else that a pickle names is refused by its name; no code that a file names is ever
called.

Sources: the reduce methods of numpy.ndarray, numpy.dtype and torch.Tensor; joblib/numpy_pickle.py (an array's bytes
follow its wrapper in the stream, after a byte that counts the padding).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import pickle
import re
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

import numpy as np

from exoactor_core.errors import BadInput, Missing, reason
from exoactor_core.optional import optional_import

_NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
_BYTE_ORDERS: dict[str, Literal["=", "<", ">"]] = {"|": "=", "=": "=", "<": "<", ">": ">"}
_LARGEST = 1 << 32  # maximum bytes of an uncompressed file


def read_pickle(path: str | Path) -> Any:
    """Read a pickle, also one of joblib's, compressed or not, as plain containers, numbers and arrays.

    Raises
    ------
    BadInput
        The file cannot be read, is damaged, or holds more than that; the message names what.
    Missing
        It holds torch tensors, and torch is not installed.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {reason(error)}.") from None
    try:
        return load_plain(io.BytesIO(_decompressed(data)))
    except pickle.UnpicklingError as error:
        raise BadInput(f"{path} is not a pickle of plain arrays: {error}.") from None


def load_plain(stream: BinaryIO) -> Any:
    """Read one pickle from a stream; raises `pickle.UnpicklingError` if it is refused or damaged, and `Missing`."""
    try:
        return _plain(_Unpickler(stream).load())
    except (pickle.UnpicklingError, Missing):
        raise
    except Exception as error:  # damaged pickles raise all kinds of errors
        said = "" if isinstance(error, LookupError) else str(error)  # these say a key only
        raise pickle.UnpicklingError(said or "it is damaged") from None


def is_compressed(head: bytes) -> bool:
    """Whether a file that begins so was compressed as joblib does it."""
    return head[:2] in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b") or head.startswith(
        (b"BZh", b"\xfd7zXZ", b"\x5d\x00\x00")
    )


def _decompressed(data: bytes) -> bytes:
    if not is_compressed(data):
        return data
    try:
        if data[:1] == b"\x78":
            worker = zlib.decompressobj()
            out = worker.decompress(data, _LARGEST)
            if not worker.eof and not worker.unconsumed_tail:
                raise EOFError("it ends early")
        else:
            kind = {b"\x1f": gzip.GzipFile, b"B": bz2.BZ2File}.get(data[:1], lzma.LZMAFile)
            stream = io.BytesIO(data)
            with kind(fileobj=stream) if kind is gzip.GzipFile else kind(stream) as file:
                out = file.read(_LARGEST)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise pickle.UnpicklingError(f"its compression is damaged: {error}") from None
    if len(out) >= _LARGEST:
        raise pickle.UnpicklingError(f"it grows to more than {_LARGEST >> 30} GiB")
    return out


# --- stand-ins --------------------------------------------------------------------------------------------------------


class _Dtype:
    """Stands in for numpy.dtype: numbers and texts; ``name`` is "O" for arrays of objects."""

    def __init__(self, name: Any, *_: Any):
        self.name, self.order = str(name), "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if len(state) > 4 and any(part is not None for part in state[2:5]):
            raise ValueError("it holds structured arrays")
        self.order = str(state[1])

    def numpy(self) -> np.dtype:
        order = _BYTE_ORDERS.get(self.order)
        if order is None:
            raise ValueError(f"it holds an array of the byte order '{self.order[:20]}'")
        if self.name not in _NUMBERS and not re.fullmatch(r"[US]\d{1,6}", self.name):
            raise ValueError(f"it holds an array of the type '{self.name[:20]}'")
        return np.dtype(self.name).newbyteorder(order)


class _Array:
    """Stands in for numpy.ndarray: bytes become numbers, a list of objects an array of them; nothing else happens."""

    def __init__(self, *_: Any):
        self.value = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        if isinstance(raw, list) and isinstance(dtype, _Dtype) and dtype.name in ("O", "O8"):
            flat = np.empty(len(raw), dtype=object)
            flat[:] = raw
            self.value = flat.reshape(shape, order="F" if fortran else "C")
        else:
            self.value = _from_bytes(raw, dtype, shape, "F" if fortran else "C")


def _from_bytes(raw: Any, dtype: Any, shape: Any, order: Any = "C") -> np.ndarray:
    if not isinstance(raw, bytes | bytearray) or not isinstance(dtype, _Dtype):
        raise ValueError("it holds an array of objects")
    return np.frombuffer(bytes(raw), dtype.numpy()).reshape(shape, order="F" if order == "F" else "C").copy()


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any) -> _Array:
    array = _Array()
    array.value = _from_bytes(raw, dtype, shape, order)
    return array


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    return _from_bytes(raw, dtype, (1,))[0].item()


class _Storage:
    """Stands in for a torch storage."""

    def __init__(self, raw: Any):
        torch = optional_import("torch", "A file with torch tensors")
        storage = torch.load(io.BytesIO(bytes(raw)), map_location="cpu", weights_only=True)
        tensor = torch.empty(0, dtype=storage.dtype).set_(storage)
        self.values = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> _Array:
    if not isinstance(storage, _Storage) or len(size) != len(stride) or min([offset, *size, *stride]) < 0:
        raise ValueError("it holds a torch tensor of an unknown kind")
    array = _Array()
    values = storage.values[offset:]
    last = sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and last >= len(values):
        raise ValueError("it holds a torch tensor that is larger than its storage")
    array.value = np.lib.stride_tricks.as_strided(values, size, [values.itemsize * step for step in stride]).copy()
    return array


class _Unpickler(pickle._Unpickler):  # the C one would read ahead, over the bytes of joblib's arrays
    stack: list[Any]  # this and load_build are attributes that typeshed leaves out
    load_build: Callable[[], None]

    _KNOWN: ClassVar[dict[str, Callable[..., Any]]] = {
        "numpy.dtype": _Dtype,
        "numpy.ndarray": _Array,
        "numpy.core.multiarray._reconstruct": _Array,
        "numpy.core.multiarray.scalar": _scalar,
        "numpy.core.numeric._frombuffer": _frombuffer,
        "collections.OrderedDict": OrderedDict,
        "collections.defaultdict": lambda *_: {},
        "builtins.dict": dict,
        "builtins.set": set,
        "builtins.bytes": lambda: b"",  # how protocol 2 writes none
        "_codecs.encode": lambda text, _encoding: str(text).encode("latin-1"),  # how protocol 2 writes bytes
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch.storage._load_from_bytes": _Storage,
    }

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)

        class Wrapper(_Array):
            """Stands in for joblib's NumpyArrayWrapper, whose array follows in the stream."""

            def __setstate__(self, state: Any) -> None:  # a dict, unlike numpy's
                self.value = _joblib_array(stream, state)

        self._wrapper = Wrapper

    def find_class(self, module: str, name: str) -> Any:
        module = re.sub(r"^numpy\._core\b", "numpy.core", module).replace("__builtin__", "builtins")
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return self._wrapper
        known = self._KNOWN.get(f"{module}.{name}")
        if known is None:
            raise pickle.UnpicklingError(f"it wants '{module}.{name}', which is not a plain array")
        return known

    def _build(self) -> None:
        if not isinstance(self.stack[-2], _Dtype | _Array):  # it would set attributes of whatever stands there
            raise pickle.UnpicklingError("it builds what is not a plain array")
        self.load_build()

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = pickle._Unpickler.dispatch | {pickle.BUILD[0]: _build}

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to data outside the file")


def _joblib_array(stream: BinaryIO, state: dict[str, Any]) -> np.ndarray:
    shape, dtype = tuple(int(n) for n in state["shape"]), state["dtype"]
    if isinstance(dtype, _Dtype) and dtype.name in ("O", "O8"):
        inner = _Unpickler(stream).load()
        return inner.value if isinstance(inner, _Array) else np.zeros(0)
    if not isinstance(dtype, _Dtype) or min(shape, default=0) < 0:
        raise ValueError("it holds an array of an unknown kind")
    if state.get("numpy_array_alignment_bytes") is not None:
        stream.read(int.from_bytes(stream.read(1), "little"))
    size = dtype.numpy().itemsize * math.prod(shape)
    raw = stream.read(size) if size <= _LARGEST else b""
    if len(raw) < size:
        raise ValueError("it ends within an array")
    return _from_bytes(raw, dtype, shape, state["order"])


def _plain(value: Any) -> Any:
    """The value without stand-ins; an array of no dimension that holds an object is that object, as numpy saves it."""
    if isinstance(value, _Array):
        array = value.value
        if array.dtype != object:
            return array
        return _plain(array[()]) if array.ndim == 0 else [_plain(item) for item in array]
    if isinstance(value, np.ndarray) and value.dtype == object:  # a row of an array of objects
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, _Dtype | _Storage | type) or callable(value):
        return None
    return value
