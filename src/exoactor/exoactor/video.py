"""Videos as they travel between stages: the bytes of an mp4, decoded frame by frame."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import av
import numpy as np

from exoactor.errors import BadInput
from exoactor.files import save_bytes


@dataclass(frozen=True)
class Video:
    """A video file's bytes, with what its header says. Build it with `from_bytes`, `load` or `from_frames`."""

    data: bytes
    fps: float
    width: int
    height: int
    intrinsics: tuple[float, float, float, float] | None = None
    """Pinhole camera fx, fy, cx, cy in pixels where known; written into the file's comment by `from_frames`."""

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "The video") -> Video:
        """Read a video's header.

        Raises
        ------
        BadInput
            The bytes are not a video, or hold no video stream.
        """
        if not data:
            raise BadInput(f"{name} is empty.")
        try:
            with av.open(io.BytesIO(data)) as container:
                if not container.streams.video:
                    raise BadInput(f"{name} holds no video stream.")
                stream = container.streams.video[0]
                fps = float(stream.average_rate or stream.guessed_rate or 0)
                width, height = stream.codec_context.width, stream.codec_context.height
                comment = container.metadata.get("comment", "")
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadInput(f"{name} cannot be read as a video: {reason}.") from None
        if not fps > 0 or width < 1 or height < 1:
            raise BadInput(f"{name} states no frame rate or size.")
        return cls(data, fps, width, height, _read_intrinsics(comment))

    @classmethod
    def load(cls, path: str | Path) -> Video:
        """Read a video file; raises `BadInput` as `from_bytes` does."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise BadInput(f"Cannot read the video {path}: {error.strerror or error}.") from None
        return cls.from_bytes(data, name=str(path))

    @classmethod
    def from_frames(
        cls,
        frames: Iterable[np.ndarray],
        fps: float,
        intrinsics: tuple[float, float, float, float] | None = None,
    ) -> Video:
        """Encode RGB frames, each (H, W, 3) uint8 with even H and W, as H.264 in mp4."""
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp4") as container:
            if intrinsics is not None:
                container.metadata["comment"] = json.dumps({"intrinsics": [float(v) for v in intrinsics]})
            stream = container.add_stream("libx264", rate=round(fps), options={"crf": "18", "preset": "veryfast"})
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
        return cls(buffer.getvalue(), float(round(fps)), width, height, intrinsics)

    def frames(self) -> Iterator[np.ndarray]:
        """Decode frame by frame: (H, W, 3) uint8 RGB.

        Raises
        ------
        BadInput
            The video is damaged, or holds no frame.
        """
        count = 0
        try:
            with av.open(io.BytesIO(self.data)) as container:
                container.streams.video[0].thread_type = "AUTO"
                for frame in container.decode(video=0):
                    count += 1
                    yield frame.to_ndarray(format="rgb24")
        except av.FFmpegError as error:
            raise BadInput(f"The video is damaged after frame {count}: {error.strerror}.") from None
        if not count:
            raise BadInput("The video holds no frames.")

    @cached_property
    def frame_count(self) -> int:
        """Number of frames, from the header where it says, otherwise counted."""
        try:
            with av.open(io.BytesIO(self.data)) as container:
                stated = container.streams.video[0].frames
        except av.FFmpegError as error:
            raise BadInput(f"The video is damaged: {error.strerror}.") from None
        return stated or sum(1 for _ in self.frames())

    @property
    def duration(self) -> float:
        """Seconds, frame_count / fps."""
        return self.frame_count / self.fps

    def save(self, path: str | Path) -> None:
        """Write the bytes, atomically."""
        save_bytes(path, self.data)


def _read_intrinsics(comment: str) -> tuple[float, float, float, float] | None:
    try:
        fx, fy, cx, cy = (float(v) for v in json.loads(comment)["intrinsics"])
    except (ValueError, KeyError, TypeError):
        return None
    return (fx, fy, cx, cy) if fx > 0 and fy > 0 else None
