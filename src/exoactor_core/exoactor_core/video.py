"""Videos as they travel between stages: the bytes of a file, decoded frame by frame.

Frames are delivered as they are to be seen: at a constant rate by their times, upright by the file's display matrix,
with square pixels.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import VideoReformatter

from exoactor_core.errors import BadInput, reason
from exoactor_core.files import save_bytes

MAX_FPS = 480.0
FOCAL_35MM = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
"""Metadata key of QuickTime and MP4 files, mm."""
DIAGONAL_35MM = math.hypot(36.0, 24.0)
MAX_BYTES = 2**30
"""Maximum file size; the file is held in memory."""


Intrinsics = tuple[float, float, float, float]
"""Pinhole camera: fx, fy, cx, cy in pixels."""


@dataclass(frozen=True)
class Video:
    """The bytes of a video file and the content of its header. Create it with `from_bytes`, `load` or `from_frames`."""

    data: bytes
    fps: float
    """Frames per second; the mean if the file's rate varies."""
    width: int
    height: int
    """px, of a frame as returned by `frames`."""
    intrinsics: Intrinsics | None = None
    """Camera, if known: from the file's comment, which `from_frames` writes, or from the focal length that phones
    state."""
    person_height: float | None = None
    """Height of the person in m, if known: also from the comment."""
    notes: tuple[str, ...] = ()
    """Sentences on what the file's display matrix did to the frames, apart from quarter turns."""

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "The video") -> Video:
        """Read a video's header. Raises `BadInput`: the bytes are not a video, or hold no video stream."""
        if not data:
            raise BadInput(f"{name} is empty.")
        try:
            with av.open(io.BytesIO(data), mode="r") as container:
                if not container.streams.video:
                    raise BadInput(f"{name} holds no video stream.")
                stream = container.streams.video[0]
                fps = float(stream.average_rate or stream.guessed_rate or 0)
                metadata = dict(container.metadata) | dict(stream.metadata)
                first = next(container.decode(stream), None)
                if first is None:
                    raise BadInput(f"{name} holds no frames.")
                width, height = _upright_size(first, stream)
                notes = (_MIRRORED,) if _orientation(first)[0] else ()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise BadInput(
                f"{name} cannot be read as a video ({reason(error)}): it is not one, or it is cut off."
            ) from None
        if not 0 < fps <= MAX_FPS:
            raise BadInput(f"{name} claims {fps:.5g} frames per second, but at most {MAX_FPS:.0f} are supported.")
        return cls(data, fps, width, height, _read_intrinsics(metadata, width, height), _read_height(metadata), notes)

    @classmethod
    def load(cls, path: str | Path) -> Video:
        """Read a video file; raises `BadInput` as `from_bytes` does."""
        try:
            size = Path(path).stat().st_size
            if size > MAX_BYTES:
                raise BadInput(
                    f"The video {path} has {size / 2**30:.1f} GiB, but up to {MAX_BYTES >> 30} are read: cut it."
                )
            data = Path(path).read_bytes()
        except OSError as error:
            raise BadInput(f"Cannot read the video {path}: {reason(error)}.") from None
        return cls.from_bytes(data, name=str(path))

    @classmethod
    def from_frames(
        cls,
        frames: Iterable[np.ndarray],
        fps: float,
        intrinsics: Intrinsics | None = None,
        person_height: float | None = None,
    ) -> Video:
        """Encode RGB frames, each (H, W, 3) uint8 with even H and W, as H.264 in mp4."""
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp4") as container:
            container.metadata.update(_stated(intrinsics, person_height))
            rate = Fraction(fps).limit_denominator(1001)
            # mbtree reads uninitialised memory at some sizes, such as 320x240: the same frames gave different bytes.
            coding = {"crf": "18", "preset": "veryfast", "x264-params": "mbtree=0"}
            stream = container.add_stream("libx264", rate=rate, options=coding)
            stream.pix_fmt = "yuv420p"
            height = width = 0
            for image in frames:
                if not height:
                    height, width = image.shape[:2]
                    stream.height, stream.width = height, width
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
            if not height:
                raise BadInput("A video needs at least one frame.")
            container.mux(stream.encode())
        return cls(buffer.getvalue(), float(rate), width, height, intrinsics, person_height)

    def with_metadata(self, intrinsics: Intrinsics | None, person_height: float | None) -> Video:
        """The same video with camera and person's height in the metadata; frames are not encoded again."""
        buffer = io.BytesIO()
        with av.open(io.BytesIO(self.data), mode="r") as source, av.open(buffer, mode="w", format="mp4") as target:
            target.metadata.update(_stated(intrinsics, person_height))
            given = source.streams.video[0]
            stream = target.add_stream_from_template(given)
            for packet in source.demux(given):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        return replace(self, data=buffer.getvalue(), intrinsics=intrinsics, person_height=person_height)

    def subsampled(self, fps: float) -> Video:
        """The same video with as few of its frames, every n-th, as still are ``fps`` per second."""
        step = int(self.fps / fps + 0.05)  # 29.97 counts as 30
        if step < 2:
            return self
        even = np.s_[: self.height // 2 * 2, : self.width // 2 * 2]
        return self.from_frames(
            (frame[even] for frame in self.frames(step)), self.fps / step, self.intrinsics, self.person_height
        )

    def frames(self, every: int = 1) -> Iterator[np.ndarray]:
        """Decode frame by frame: (H, W, 3) uint8 RGB.

        They come at ``fps``: where the file's rate varies, frames are repeated or left out. With ``every`` n only every
        n-th is given, from the first on; the others are not converted, which saves time.

        Raises
        ------
        BadInput
            The video is damaged, breaks off, or holds no frame.
        """
        count, given, held, start = 0, 0, None, None
        try:
            with av.open(io.BytesIO(self.data), mode="r") as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                upright: _Upright | None = None
                for frame in container.decode(stream):
                    upright = upright or _Upright(frame, stream)
                    start = frame.time if start is None else start
                    slot = count if start is None or frame.time is None else _slot(frame.time - start, self.fps)
                    if held is not None and (wanted := len(range(-(-given // every) * every, slot, every))):
                        image = upright(held)
                        for _ in range(wanted):
                            yield image
                    given = max(given, slot)
                    held, count = frame, count + 1
                if held is not None and upright is not None and given % every == 0:
                    yield upright(held)
        except av.FFmpegError as error:
            raise BadInput(f"The video is damaged after frame {count}: {reason(error)}.") from None
        if not count:
            raise BadInput("The video holds no frames.")
        there, stated = self._length
        if stated - there > max(0.5, 0.02 * stated):
            raise BadInput(f"The video breaks off after {there:.1f} of {stated:.1f} s: the file is not complete.")

    def check(self, tick: Callable[[int], None]) -> int:
        """Decode the whole video to detect damage; returns the number of frames, as passed to ``tick`` meanwhile.

        Raises
        ------
        BadInput
            As `frames`.
        """
        count = 0
        for count, _ in enumerate(self.frames(), 1):
            if count % 10 == 0:
                tick(count)
        return count

    @cached_property
    def frame_count(self) -> int:
        """Number of frames that `frames` returns."""
        times = self._times
        return _slot(times[-1] - times[0], self.fps) + 1 if times is not None else sum(1 for _ in self.frames())

    @cached_property
    def _times(self) -> np.ndarray | None:
        """Times of the frames in s, in order; None if the file has none."""
        try:
            with av.open(io.BytesIO(self.data), mode="r") as container:
                packets = [p for p in container.demux(container.streams.video[0]) if p.size and not p.is_discard]
        except av.FFmpegError as error:
            raise BadInput(f"The video is damaged: {reason(error)}.") from None
        times = [float(p.pts * p.time_base) for p in packets if p.pts is not None and p.time_base is not None]
        return np.sort(times) if times and len(times) == len(packets) else None

    @cached_property
    def _length(self) -> tuple[float, float]:
        """Seconds of video that exist, and that the header states; equal if it states none."""
        with av.open(io.BytesIO(self.data), mode="r") as container:
            stream = container.streams.video[0]
            there = self.frame_count / self.fps
            if stream.duration and stream.time_base:
                return there, float(stream.duration * stream.time_base)
            if container.duration and len(container.streams) == 1:
                return there, container.duration / av.time_base
            return there, there

    @property
    def duration(self) -> float:
        """Seconds, frame_count / fps."""
        return self.frame_count / self.fps

    def save(self, path: str | Path) -> None:
        """Write the bytes, atomically."""
        save_bytes(path, self.data)


def _stated(intrinsics: Intrinsics | None, person_height: float | None) -> dict[str, str]:
    """Metadata with which `Video.from_bytes` knows the camera and the person's height."""
    known = {"intrinsics": intrinsics, "person_height": person_height}
    comment = {name: np.asarray(value).tolist() for name, value in known.items() if value is not None}
    return {"comment": json.dumps(comment)} if comment else {}


def _read_intrinsics(metadata: dict[str, str], width: int, height: int) -> Intrinsics | None:
    """By the comment of `Video.from_frames`, or by the 35 mm equivalent focal length, which refers to the diagonal."""
    try:
        fx, fy, cx, cy = (float(v) for v in json.loads(metadata.get("comment", ""))["intrinsics"])
    except (ValueError, KeyError, TypeError):
        try:
            fx = fy = float(metadata.get(FOCAL_35MM, 0)) / DIAGONAL_35MM * math.hypot(width, height)
        except ValueError:
            return None
        cx, cy = width / 2, height / 2
    return (fx, fy, cx, cy) if fx > 0 and fy > 0 else None


def _read_height(metadata: dict[str, str]) -> float | None:
    try:
        height = float(json.loads(metadata.get("comment", ""))["person_height"])
    except (ValueError, KeyError, TypeError):
        return None
    return height if 0.5 <= height <= 2.5 else None


def _slot(time: float, fps: float) -> int:
    """Index of the frame that is shown at ``time`` after the first."""
    return int(np.floor(time * fps + 0.5 - 1e-6))


_MIRRORED = (
    "The video's display matrix mirrors its frames, as front cameras set it: they are read mirrored, as players show."
)


def _orientation(frame: av.VideoFrame) -> tuple[bool, int]:
    """Whether a frame is to be mirrored left to right, and how many quarter turns to the left follow.

    The display matrix maps a stored pixel (x, y) to (a x + c y, b x + d y), y down; a, b, c, d are entries 0, 1, 3 and
    4, 16.16 fixed-point (ISO/IEC 14496-12, 6.2.2; FFmpeg's libavutil/display.h).
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, SideData):
        return False, 0
    a, b, _, c, d = (float(v) for v in np.frombuffer(bytes(data), np.int32)[:5])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b  # of the mirrored frame, whose x axis is reversed
    return mirrored, round(np.arctan2(-b, a) / (np.pi / 2)) % 4


def _upright_size(frame: av.VideoFrame, stream: av.VideoStream) -> tuple[int, int]:
    """Width and height of a frame as displayed, px."""
    width = max(1, round(frame.width * float(stream.sample_aspect_ratio or 1)))
    return (frame.height, width) if _orientation(frame)[1] % 2 else (width, frame.height)


class _Upright:
    """Turns a stream's frames into images as they are to be seen: by the display matrix, pixels made square.

    All it needs is read from the first frame, and one converter serves all: PyAV's frames hold themselves once their
    side data are read, and each makes a converter of its own with threads, so a video piled up until Python collected
    them.
    """

    def __init__(self, first: av.VideoFrame, stream: av.VideoStream) -> None:
        self._aspect = float(stream.sample_aspect_ratio or 1)
        self._mirrored, self._turns = _orientation(first)
        self._converter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        width = max(1, round(frame.width * self._aspect))
        image = self._converter.reformat(frame, width, frame.height, "rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(np.rot90(image[:, ::-1] if self._mirrored else image, self._turns))
