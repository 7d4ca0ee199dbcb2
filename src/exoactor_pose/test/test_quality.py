import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from exoactor_core.body import BodyModel
from exoactor_core.motion import HumanMotion
from exoactor_pose.quality import Limits, bad_frames, clip_figures, faults, frame_figures

FPS, FRAMES = 30.0, 40
SEEN = np.ones(FRAMES, dtype=bool)


@pytest.fixture(scope="module")
def body():
    return BodyModel.load()


SLIDE = np.arange(FRAMES)[:, None] * [0.04, 0, 0]


def standing(body, up=(1.0, 0.0, 0.0)):
    """A person who stands still on the floor, well seen."""
    root = Rotation.from_rotvec(np.pi / 2 * np.array(up))  # SMPL-X's y up to z up
    motion = HumanMotion(
        FPS,
        np.zeros((FRAMES, 3)),
        np.tile(root.as_rotvec(), (FRAMES, 1)),
        np.zeros((FRAMES, 63)),
        np.zeros(10),
        contacts=np.ones((FRAMES, 4)),
        confidence=np.full(FRAMES, 0.9),
    )
    return replace(motion, transl=motion.transl - [0, 0, body.foot_points(motion)[0, 0, 2]])


def figures(body, motion, reprojection=3.0):
    return clip_figures(motion, body, SEEN, np.full(len(motion), reprojection), height_px=300.0)


def test_a_good_clip_passes(body):
    good = figures(body, standing(body))
    assert not faults(good, Limits())
    assert good["foot_skate_mm_per_frame"] == pytest.approx(0, abs=1e-6)
    assert good["floating_mm_mean"] == pytest.approx(0, abs=1e-6)
    assert good["reprojection_share"] == pytest.approx(0.01)
    assert {len(values) for values in good["per_frame"].values()} == {FRAMES}


def test_figures_of_a_slide_a_float_and_a_sunken_foot(body):
    motion = standing(body)
    transl = motion.transl.copy()
    transl[11:, 0] += 0.02  # both feet slide 20 mm in one frame
    transl[20, 2] += 0.03
    transl[30, 2] -= 0.01
    table = frame_figures(replace(motion, transl=transl), body, np.zeros(FRAMES))
    assert table["foot_skate_mm"][11] == pytest.approx(20)
    assert table["foot_skate_mm"][12] == pytest.approx(0)
    assert table["floating_mm"][20] == pytest.approx(30)
    assert table["penetration_mm"][30] == pytest.approx(10)
    assert table["speed"][11:14] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda m, b: figures(b, replace(m, confidence=np.full(FRAMES, 0.1))), r"only 0\.10.*min_quality"),
        (lambda m, b: figures(b, m, reprojection=45.0), r"by 15 % of the person's height.*max_reprojection"),
        (lambda m, b: figures(b, replace(m, transl=m.transl + SLIDE)), "slide 40"),
        (lambda m, b: figures(b, replace(m, transl=m.transl + 0.02 * (np.arange(FRAMES) % 2)[:, None])), "jerks by"),
        (
            lambda m, b: figures(
                b,
                replace(m, contacts=np.zeros((FRAMES, 4)), transl=m.transl + np.arange(FRAMES)[:, None] * [0.5, 0, 0]),
            ),
            "at 15 m/s",
        ),
        (lambda m, b: figures(b, standing(b, up=(-1.0, 0, 0))), "upside down"),
    ],
)
def test_a_poor_clip_has_its_reason(body, fault, said):
    assert re.search(said, faults(fault(standing(body), body), Limits()))


def test_every_reason_is_given(body):
    poor = figures(body, replace(standing(body), transl=standing(body).transl + SLIDE), reprojection=45.0)
    assert re.search(r"max_reprojection.*, most at .*max_skate", faults(poor, Limits()))
    assert not faults(poor, Limits(max_reprojection=0.2, max_skate=50.0))


def test_what_is_no_person_is_called_so_before_anything_else(body):
    ship = figures(body, replace(standing(body, up=(-1.0, 0, 0)), confidence=np.full(FRAMES, 0.2)), reprojection=45.0)
    assert faults(ship, Limits()).startswith("no person is credibly seen")


def test_frames_around_a_leap_are_bad(body):
    motion = standing(body)
    transl = motion.transl.copy()
    transl[20:, 0] += 1.5
    table = frame_figures(replace(motion, transl=transl, contacts=np.zeros((FRAMES, 4))), body, np.zeros(FRAMES))
    bad = bad_frames(table, Limits(), 300.0, FPS)
    assert bad[19:21].all()
    assert not bad[:14].any()
    assert not bad[27:].any()
