import gc
import io
from fractions import Fraction

import av
import numpy as np
import pytest

from exoactor_core.errors import BadInput
from exoactor_core.video import FOCAL_35MM, Video


def clip(frames=12, intrinsics=(500.0, 510.0, 32.0, 24.0), person_height=None):
    ramp = np.linspace(0, 255, frames).astype(np.uint8)
    return Video.from_frames((np.full((48, 64, 3), v, np.uint8) for v in ramp), 30.0, intrinsics, person_height)


def test_round_trip_keeps_frames_rate_camera_and_stature(tmp_path):
    clip(person_height=1.32).save(tmp_path / "a.mp4")
    video = Video.load(tmp_path / "a.mp4")
    assert (video.width, video.height, video.fps, video.frame_count) == (64, 48, 30.0, 12)
    assert video.intrinsics == (500.0, 510.0, 32.0, 24.0)
    assert video.person_height == video.subsampled(15.0).person_height == 1.32
    assert Video.from_bytes(clip().data).person_height is None
    levels = [float(frame.mean()) for frame in video.frames()]
    np.testing.assert_allclose(levels, np.linspace(0, 255, 12), atol=6)


def test_a_file_states_a_camera_that_is_known_later_without_being_encoded_anew():
    plain = clip(intrinsics=None)
    stated = plain.with_metadata((400.0, 400.0, 32.0, 24.0), 1.3)
    again = Video.from_bytes(stated.data)
    assert (again.intrinsics, again.person_height) == (stated.intrinsics, stated.person_height)
    assert again.intrinsics == (400.0, 400.0, 32.0, 24.0)
    assert again.person_height == 1.3
    assert again.frame_count == 12
    for one, other in zip(plain.frames(), again.frames(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert Video.from_bytes(plain.with_metadata(None, 1.3).data).intrinsics is None


@pytest.mark.parametrize(
    ("fps", "wanted", "left"), [(30, 15, 15), (29.97, 15, 14.985), (25, 10, 12.5), (25, 8, 25 / 3)]
)
def test_a_subsampled_video_lasts_as_long_and_has_the_same_camera(fps, wanted, left):
    ramp = np.linspace(0, 255, 2 * round(fps)).astype(np.uint8)
    video = Video.from_frames((np.full((48, 64, 3), v, np.uint8) for v in ramp), fps, (50.0, 50.0, 32.0, 24.0))
    thin = video.subsampled(wanted)
    assert thin.fps == Video.from_bytes(thin.data).fps == pytest.approx(left, rel=1e-3)
    assert thin.duration == pytest.approx(video.duration, abs=1 / thin.fps)
    assert thin.intrinsics == video.intrinsics
    np.testing.assert_allclose([f.mean() for f in thin.frames()], ramp[:: round(fps / left)], atol=6)
    assert thin.subsampled(wanted) is thin


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


def test_an_enormous_file_is_refused_at_once(tmp_path):
    path = tmp_path / "long.mp4"
    with path.open("wb") as file:
        file.truncate(3 * 2**30)  # sparse: it takes no room
    with pytest.raises(BadInput, match=r"has 3\.0 GiB, but up to 1 are read"):
        Video.load(path)


def test_no_frames_make_no_video():
    with pytest.raises(BadInput, match="at least one frame"):
        Video.from_frames([], 30.0)


def written(levels, times=None, pix_fmt="yuv420p", size=(64, 48), turned=0, codec="libx264", form="mp4", mark=False):
    """A video of plain images with the given times in ms, as other programs write them."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        if turned:
            stream.set_display_rotation(turned)
        for k, level in enumerate(levels):
            image = np.full((size[1], size[0], 3), level, np.uint8)
            if mark:
                image[: size[1] // 4] = 255
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = times[k] if times else round(1000 * k / 30), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Video.from_bytes(buffer.getvalue())


def levels(video):
    return np.array([float(frame.mean()) for frame in video.frames()])


def test_a_varying_frame_rate_becomes_constant():
    """A ramp of grey over time stays a ramp, though its frames come at 10 and then at 40 a second."""
    times = [*range(0, 1000, 100), *range(1000, 2001, 25)]
    video = written([t // 10 for t in times], times)
    found = levels(video)
    assert len(found) == video.frame_count == pytest.approx(2.0 * video.fps, abs=2)
    expected = np.arange(len(found)) / video.fps * 100
    assert np.abs(found - expected).max() < 100 * 0.1 + 3  # nothing later than the longest frame lasts
    assert np.abs(found - expected)[len(found) // 2 + 2 :].mean() < 4


def test_a_constant_rate_in_rounded_times_keeps_every_frame():
    wanted = np.arange(0, 240, 8)
    video = written(wanted, form="matroska")
    np.testing.assert_allclose(levels(video), wanted, atol=6)


def test_decoded_frames_do_not_pile_up():
    video = written(np.arange(0, 200, 4))
    gc.collect()
    gc.disable()
    try:
        held = [sum(isinstance(each, av.VideoFrame) for each in gc.get_objects()) for _ in video.frames()]
    finally:
        gc.enable()
    assert held[40] <= held[10]


@pytest.mark.parametrize("every", [2, 3])
@pytest.mark.parametrize("times", [None, [*range(0, 1000, 100), *range(1000, 1351, 25)]])
def test_every_so_manieth_frame_is_the_same_as_of_all(every, times):
    video = written(np.arange(0, 200, 8), times)
    thin = [float(frame.mean()) for frame in video.frames(every)]
    np.testing.assert_array_equal(thin, levels(video)[::every])


@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv420p10le", "yuv422p10le", "yuv444p"])
def test_other_pixel_formats(pix_fmt):
    wanted = np.linspace(20, 230, 8).astype(int)
    np.testing.assert_allclose(levels(written(wanted, pix_fmt=pix_fmt)), wanted, atol=6)


@pytest.mark.parametrize(("turned", "edge"), [(0, "top"), (90, "left"), (180, "bottom"), (-90, "right")])
def test_the_display_matrix_is_honoured(turned, edge):
    """The mark at the top of the stored image comes where a player shows it (angles are counter-clockwise)."""
    video = written([0] * 3, turned=turned, mark=True)
    image = next(video.frames())
    assert (video.width, video.height) == ((48, 64) if turned in (90, -90) else (64, 48))
    assert image.shape == (video.height, video.width, 3)
    sides = {"top": image[:6], "bottom": image[-6:], "left": image[:, :6], "right": image[:, -6:]}
    assert max(sides, key=lambda side: sides[side].mean()) == edge
    assert sum(float(side.mean()) > 200 for side in sides.values()) == 1


def test_portrait():
    video = written([100] * 3, size=(48, 80))
    assert next(video.frames()).shape == (80, 48, 3) == (video.height, video.width, 3)


def test_oblong_pixels_become_square():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    video = Video.from_bytes(buffer.getvalue())
    assert next(video.frames()).shape == (48, 96, 3) == (video.height, video.width, 3)


@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_a_file_that_breaks_off_is_told(form, tmp_path):
    """The header comes first, as in downloads: what is there can be read, but the rest is missing."""
    rng = np.random.default_rng(0)
    path = tmp_path / "whole"
    options = {"movflags": "faststart"} if form == "mp4" else {}
    with av.open(str(path), "w", format=form, options=options) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(60):
            image = rng.integers(0, 255, (48, 64, 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    data = path.read_bytes()
    assert len(list(Video.from_bytes(data).frames())) == 60
    with pytest.raises(BadInput, match=r"damaged|breaks off after [01]\.. of 2\.0 s"):
        list(Video.from_bytes(data[: len(data) // 2]).frames())


def test_sound_alone_is_no_video():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(BadInput, match="no video stream"):
        Video.from_bytes(buffer.getvalue())


@pytest.mark.parametrize(
    "matrix",
    [
        (1, 0, 0, 1),
        (0, 1, -1, 0),
        (-1, 0, 0, -1),
        (0, -1, 1, 0),
        (-1, 0, 0, 1),
        (1, 0, 0, -1),
        (0, 1, 1, 0),
        (0, -1, -1, 0),
    ],
)
def test_all_eight_display_matrices(matrix):
    """The bright corner of the stored image comes where (x, y) -> (a x + c y, b x + d y) takes it, y down."""
    a, b, c, d = matrix
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        image = np.zeros((48, 64, 3), np.uint8)
        image[:24, :32] = 255
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    data = bytearray(buffer.getvalue())
    identity, wanted = (
        np.array([n << 16 for n in (*m[:2], 0, *m[2:], 0, 0, 0, 1 << 14)], ">i4").tobytes()
        for m in ((1, 0, 0, 1), matrix)
    )
    at = data.index(identity, data.index(b"tkhd"))
    data[at : at + 36] = wanted
    video = Video.from_bytes(bytes(data))
    assert (video.width, video.height) == ((64, 48) if a else (48, 64))
    image = next(video.frames())[..., 0]
    x, y = -a - c, -b - d  # where the corner (-1, -1) comes
    h, w = image.shape
    corner = image[h // 2 * (y > 0) : h // 2 * (y > 0) + h // 2, w // 2 * (x > 0) : w // 2 * (x > 0) + w // 2]
    assert image.shape == (video.height, video.width)
    assert corner.mean() > 200 > 100 > image.mean()
    assert bool(video.notes) == (a * d - b * c < 0)


def test_the_focal_length_that_phones_state_is_the_camera(tmp_path):
    path = tmp_path / "phone.mov"
    with av.open(path, "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata[FOCAL_35MM] = "26"
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 160, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((160, 96, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    fx, fy, cx, cy = Video.load(path).intrinsics
    assert fx == fy == pytest.approx(26 / np.hypot(36, 24) * np.hypot(96, 160))
    assert (cx, cy) == (48, 80)
