import numpy as np
import pytest

from exoactor.errors import BadInput
from exoactor.video import Video


def clip(frames=12, intrinsics=(500.0, 510.0, 32.0, 24.0)):
    ramp = np.linspace(0, 255, frames).astype(np.uint8)
    return Video.from_frames((np.full((48, 64, 3), v, np.uint8) for v in ramp), 30.0, intrinsics)


def test_round_trip_keeps_frames_rate_and_intrinsics(tmp_path):
    clip().save(tmp_path / "a.mp4")
    video = Video.load(tmp_path / "a.mp4")
    assert (video.width, video.height, video.fps, video.frame_count) == (64, 48, 30.0, 12)
    assert video.intrinsics == (500.0, 510.0, 32.0, 24.0)
    levels = [float(frame.mean()) for frame in video.frames()]
    np.testing.assert_allclose(levels, np.linspace(0, 255, 12), atol=6)


def test_a_foreign_comment_is_no_camera(tmp_path):
    assert Video.from_bytes(clip(intrinsics=None).data).intrinsics is None


@pytest.mark.parametrize(("data", "words"), [(b"", "is empty"), (b"not a video" * 99, "cannot be read as a video")])
def test_what_is_no_video_is_refused(tmp_path, data, words):
    path = tmp_path / "bad.mp4"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=words):
        Video.load(path)


def test_a_missing_video_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"none\.mp4"):
        Video.load(tmp_path / "none.mp4")


def test_a_cut_off_video_is_refused():
    data = clip(60).data
    with pytest.raises(BadInput):
        list(Video.from_bytes(data[: len(data) // 2]).frames())


def test_no_frames_make_no_video():
    with pytest.raises(BadInput, match="at least one frame"):
        Video.from_frames([], 30.0)
