"""The reason of an error, as messages quote it."""

import numpy as np
import pytest

from exoactor_core.errors import BadInput, reason
from exoactor_core.files import load_npz


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("First line.\nSecond line."), "First line"),
        (ValueError(""), "ValueError"),
        (FileNotFoundError(2, "No such file or directory", "a.txt"), "No such file or directory"),
        (OSError("can't load it"), "can't load it"),
    ],
)
def test_the_reason_is_one_line_without_its_full_stop(error, said):
    assert reason(error) == said


def test_an_error_without_text_in_a_library_is_told_by_its_type(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", x=np.zeros(3))

    def broken(*_, **__):
        raise EOFError

    monkeypatch.setattr(np.lib.format, "read_array", broken)
    with pytest.raises(BadInput, match="not a readable npz file: EOFError"):
        load_npz(tmp_path / "a.npz")
