"""demo.mp4 of a run folder."""

import os

import numpy as np
import pytest

from exoactor.demo import write_demo
from exoactor.run_folder import RunFolder
from exoactor_core.errors import Cancelled
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
