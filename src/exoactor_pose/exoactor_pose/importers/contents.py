"""Contents of files: their kind by the first bytes, and reading without executing anything in them."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from exoactor_core.errors import BadInput, reason
from exoactor_core.files import npy_header, read_npz
from exoactor_core.optional import optional_import
from exoactor_core.unpickle import is_compressed, load_plain, read_pickle

_OLD_TORCH = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
"""First bytes of torch's files before they became zip archives."""


def kind(path: Path) -> str:
    """One of "bvh", "npz", "npy", "torch", "pickle", "tram" (a folder), or "" for anything else, such as a video."""
    if path.is_dir():
        return "tram" if (path / "camera.npy").is_file() else ""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError:
        return ""
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:9].upper() == b"HIERARCHY":
        return "bvh"
    if head.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except zipfile.BadZipFile:
            return "npz" if b".npy" in head else "torch" if b"data.pkl" in head else ""
        kinds = {"data.pkl": "torch", ".npy": "npz"}
        return next((kind for end, kind in kinds.items() if any(name.endswith(end) for name in names)), "")
    if head.startswith(_OLD_TORCH):
        return "torch"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    return "pickle" if is_compressed(head) or (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05") else ""


def load(path: Path) -> tuple[Any, tuple[str, ...]]:
    """Read the content as plain containers and arrays; a folder of TRAM as its camera and tracks.

    Returns it, and the names of arrays of Python objects in an npz, which are not read.

    Raises
    ------
    BadInput
        The file is damaged, or holds more than plain arrays.
    Missing
        torch is needed and not installed.
    """
    found = kind(path)
    if found == "npz":
        return read_npz(path)
    return {"npy": _npy, "torch": _torch, "pickle": read_pickle, "tram": _tram}[found](path), ()


def _torch(path: Path) -> Any:
    torch = optional_import("torch", f"{path}")
    try:
        return _arrays(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError:
        raise BadInput(f"{path} holds more than tensors, which is not read: it could run a program.") from None
    except Exception as error:  # damaged files raise all kinds of errors
        raise BadInput(f"{path} is damaged: {reason(error)}.") from None


def _arrays(value: Any) -> Any:
    """Tensors as arrays."""
    if isinstance(value, dict):
        return {key: _arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_arrays(item) for item in value]
    if hasattr(value, "detach"):
        value = value.detach()
        return (value.float() if value.is_floating_point() else value).numpy()
    return value


def _npy(path: Path) -> Any:
    """A single .npy; a track of TRAM's includes its camera."""
    value = _object(path)
    camera = path.parent.parent / "camera.npy"
    if isinstance(value, dict) and "pred_rotmat" in value:
        if not camera.is_file():
            raise BadInput(f"{path} is a track of TRAM's, which needs {camera}: keep TRAM's folder as it is.")
        return {"camera": _object(camera), "tracks": {_number(path): value}}
    if isinstance(value, dict) and "world_cam_R" in value:
        return _tram(path.parent)
    return value


def _tram(folder: Path) -> dict[str, Any]:
    tracks = {_number(path): _object(path) for path in sorted(folder.glob("hps/hps_track_*.npy"))}
    return {"camera": _object(folder / "camera.npy"), "tracks": tracks}


def _number(path: Path) -> str:
    return path.stem.rpartition("_")[2]


def _object(path: Path) -> Any:
    """Read what numpy.save wrote, including a dictionary, which it pickles."""
    try:
        with path.open("rb") as file:
            if npy_header(file)[1].hasobject:
                return load_plain(file)
        return np.load(path, allow_pickle=False)
    except pickle.UnpicklingError as error:
        raise BadInput(f"{path} is not a table of plain arrays: {error}.") from None
    except Exception as error:
        raise BadInput(f"{path} is a damaged npy file: {error}.") from None
