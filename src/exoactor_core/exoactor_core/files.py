"""Reading and writing files so that nothing is lost and nothing is executed."""

from __future__ import annotations

import codecs
import io
import json
import math
import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import yaml
from PIL import Image

from exoactor_core.errors import BadInput, reason, user_error


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` with the same suffix; move it there when the block ends without error.

    Raises
    ------
    BadInput
        The file cannot be written: the folder is read-only, the disk is full, a folder has its name.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:100]}-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp creates files that only their owner can read
        os.replace(temporary, path)
    except OSError as error:
        raise BadInput(f"Cannot write {path}: {reason(error)}.") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def check_file(path: Path, ending: str) -> Path:
    """Check that a file can be written later, as far as possible without writing, and return its path.

    Raises
    ------
    BadInput
        The name has another ending, a folder or a device has it, or the folder cannot be written.
    """
    if not path.name.lower().endswith(ending) or len(path.name) == len(ending):
        raise BadInput(f"Cannot write {path}: its name must end in {ending}.")
    if path.is_dir():
        raise BadInput(f"Cannot write {path}: it is a folder. Name a file in it.")
    if path.exists() and not path.is_file():
        raise BadInput(f"Cannot write {path}: it is not a regular file.")
    check_folder(path.parent)
    return path


def check_folder(path: Path) -> Path:
    """Check that a folder can be written to, or created, and return it.

    Raises
    ------
    BadInput
        It, or the folder in which it would be created, is not a folder or is not writable.
    """
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise BadInput(f"Cannot write into {path}: {there} is not a folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise BadInput(f"Cannot write into {path}: {there} is read-only, or belongs to somebody else.")
    return path


def save_or_rescue(save: Callable[[Path], None], path: Path) -> None:
    """Save a result that took long to compute; if that fails, save it in a folder for temporary files.

    Raises
    ------
    BadInput
        ``path`` cannot be written; the message says where it is kept instead.
    """
    try:
        save(path)
    except (BadInput, OSError) as error:
        failure = user_error(error)
        try:
            kept = Path(tempfile.mkdtemp(prefix="exoactor-")) / path.name
            save(kept)
        except (BadInput, OSError):
            raise failure from None  # no space there either
        raise BadInput(f"{failure} It is kept in {kept} instead.") from None


def save_bytes(path: str | Path, data: bytes) -> None:
    """Write bytes atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def save_json(path: str | Path, value: Any) -> None:
    """Write indented JSON atomically."""
    save_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Write an image, (H, W, 3) uint8 RGB, atomically, in the format of the path's extension."""
    save_bytes(path, encoded(image, Path(path).suffix))


def encoded(image: np.ndarray, suffix: str = ".png", quality: int = 95) -> bytes:
    """Encode an image, (H, W, 3) uint8 RGB, in a file format; ``quality``, up to 100, applies to jpeg."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix.lower() in (".jpg", ".jpeg") else []
    return cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()


MAX_PIXELS = 100_000_000
"""Maximum size of an image: 300 MB of RGB."""


def decoded(data: bytes, name: str = "The image") -> np.ndarray | None:
    """Decode the content of an image file to (H, W, 3) uint8 RGB; None if it is unreadable.

    ``name`` begins the sentence of an error.

    Raises
    ------
    BadInput
        According to its header it has more than `MAX_PIXELS`; it is not decoded then.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit is lower
            with Image.open(io.BytesIO(data)) as header:
                width, height = header.size
    except (OSError, ValueError, SyntaxError):
        return None
    except Image.DecompressionBombError:
        width = height = MAX_PIXELS
    if width * height > MAX_PIXELS:
        raise BadInput(f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels: make it smaller.")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def need_file(path: str | Path, what: str = "file", hint: str = "") -> Path:
    """Return the path of a file to be read; raises `BadInput` if it is missing (with the ``hint``) or a folder."""
    path = Path(path)
    if path.is_dir():
        raise BadInput(f"{path} is a folder: name the {what} in it.")
    if not path.is_file() and not path.is_fifo():  # a pipe: the shell's <(command)
        raise BadInput(f"There is no {what} {path}{hint}.")
    return path


MAX_TEXT = 1 << 29
"""Maximum size of a text file, bytes."""


def read_text(path: str | Path) -> tuple[str, tuple[str, ...]]:
    """Read a text file in UTF-8 or, by its byte order mark, UTF-16; other bytes as Latin-1, with a note.

    Returns the text without a byte order mark, and sentences on what was assumed.

    Raises
    ------
    BadInput
        There is no such file, it cannot be read, it is too large, or it is not text.
    """
    path = need_file(path)
    try:
        if path.stat().st_size > MAX_TEXT:
            raise BadInput(f"{path} is larger than {MAX_TEXT >> 20} MiB: cut it.")
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {reason(error)}.") from None
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return data.decode("utf-16"), ()
        if b"\0" in data:
            raise BadInput(f"Cannot read {path}: it is not text.")
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return data.decode("latin-1"), (f"Line {line} is not UTF-8: the file was read as Latin-1.",)


def load_yaml(path: str | Path) -> Any:
    """Read YAML without creating Python objects. Raises `BadInput` as `read_text`, or if it is not valid YAML."""
    text, _ = read_text(path)
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        said = " ".join(str(error).split()).replace('in "<unicode string>", ', "at ").removesuffix(" ^").rstrip(":")
        raise BadInput(f"{path} is not valid YAML: {said}.") from None


def load_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object from a file. Raises `BadInput` as `read_text`, or if it is not UTF-8 or no JSON object."""
    text, assumed = read_text(path)
    if assumed:
        raise BadInput(f"{path} is not UTF-8, as JSON has to be.")
    return json_object(text, str(path))


def json_object(text: str, name: str) -> dict[str, Any]:
    """Parse a JSON object; raises `BadInput` if the text holds none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise BadInput(f"{name} is not a JSON object.")
    return value


def save_npz(path: str | Path, **arrays: Any) -> None:
    """Write a compressed npz atomically."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


MAX_NPZ = 1 << 32
"""Maximum total size of an npz file's arrays, bytes."""


def read_npz(path: str | Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Read the plain arrays of an npz, never unpickling.

    Returns them, and the names of those of Python objects, which are not read.

    Raises
    ------
    BadInput
        There is no such file, it is not an npz, it is damaged, or it grows to more than `MAX_NPZ`.
    """
    path = need_file(path)
    data, objects = {}, []
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            if sum(member.file_size for member in members) > MAX_NPZ:
                raise BadInput(f"{path} grows to more than {MAX_NPZ >> 30} GiB: cut it.")
            for member in members:
                name = member.filename.removesuffix(".npy")
                with archive.open(member) as file:
                    shape, dtype = npy_header(file)
                if dtype.hasobject:
                    objects.append(name)
                    continue
                if math.prod(shape) * dtype.itemsize > member.file_size:
                    raise ValueError(f"{name} ends early")
                with archive.open(member) as file:
                    data[name] = np.lib.format.read_array(file, allow_pickle=False)
    except BadInput:
        raise
    except Exception as error:  # damaged files raise errors of zipfile, zlib, ast and numpy
        raise BadInput(f"{path} is not a readable npz file: {reason(error)}.") from None
    return data, tuple(objects)


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array in a .npy stream; raises `ValueError` if there is none."""
    form = np.lib.format
    first = form.read_magic(file) == (1, 0)
    shape, _, dtype = (form.read_array_header_1_0 if first else form.read_array_header_2_0)(file)
    return shape, dtype


def load_npz(path: str | Path, required: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Read every array of an npz, never unpickling.

    Raises
    ------
    BadInput
        As `read_npz`, or it holds Python objects, or lacks a required key.
    """
    data, objects = read_npz(path)
    if objects:
        raise BadInput(f"{path} holds Python objects in {', '.join(objects)}, which are not read: save plain arrays.")
    lacking = [key for key in required if key not in data]
    if lacking:
        raise BadInput(f"{path} lacks {', '.join(lacking)}; it holds {', '.join(data) or 'nothing'}.")
    return data
