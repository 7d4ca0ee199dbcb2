"""demo.mp4 of a run folder."""

import os
from dataclasses import replace

import numpy as np
import pytest

from exoactor.demo import write_demo
from exoactor.run_folder import RunFolder, taken_along
from exoactor_core.contacts import Contact
from exoactor_core.errors import Cancelled
from exoactor_core.robot import hand_poses, standing_motion
from exoactor_core.scene import everyday, joined
from exoactor_core.video import Video


@pytest.fixture
def folder(tmp_path):
    Video.from_frames([np.full((32, 32, 3), 90, np.uint8)] * 5, 30).save(tmp_path / "video.mp4")
    return RunFolder(tmp_path)


@pytest.mark.parametrize("failed", [False, True])
def test_ctrl_c_leaves_no_half_file_and_says_so(folder, failed):
    def interrupt(fraction, text):
        if fraction > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled, match=f"no demo.mp4 was written; 'exoactor show {folder.path}'"):
        write_demo(folder, interrupt, failed)
    assert os.listdir(folder.path) == ["video.mp4"]


def test_a_failed_task_is_shown_as_far_as_it_came(folder):
    write_demo(folder, failed=True)
    assert Video.load(folder.path / "demo.mp4").frame_count == 5
    (folder.path / "video.mp4").unlink()
    write_demo(folder, failed=True)


@pytest.mark.parametrize("sides", [("left",), ("left", "right")])
def test_the_reference_takes_along_what_its_hands_grasp(sides):
    motion = standing_motion(3.0)
    motion.root_pos[:, 0] += np.linspace(0.0, 1.0, len(motion))  # it glides ahead
    box = everyday("box", pos=(0.3, 0.0, 0.7))
    scene = joined([box, everyday("table", pos=(3.0, 0.0, 0.0)), everyday("basket", pos=(0.3 + 1.0 / 3.0, 0.0, 0.0))])
    grasps = tuple(Contact(body=f"{s}_hand", object="box", kind="grasp", start=1.0, end=2.0) for s in sides)
    poses = taken_along(replace(motion, object_contacts=grasps), scene)
    first, last = round(1.0 * motion.fps), round(2.0 * motion.fps)
    hand = hand_poses(motion)[0][:, 0]
    assert poses[: first + 1, 0] == pytest.approx(np.tile(box.pose, (first + 1, 1)))
    assert poses[first:last, 0, :3] - hand[first:last] == pytest.approx(
        np.tile(box.pos - hand[first], (last - first, 1))
    )
    assert poses[-1, 0, :3] == pytest.approx([0.3 + (hand[last] - hand[first])[0], 0.0, 0.0], abs=1e-6)  # in the basket
    assert poses[:, 1] == pytest.approx(np.tile(scene["table"].pose, (len(motion), 1)))
