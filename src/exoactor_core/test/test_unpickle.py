import io
import pickle
from collections import OrderedDict, defaultdict
from contextlib import suppress

import numpy as np
import pytest

from exoactor_core.errors import BadInput
from exoactor_core.unpickle import load_plain, read_pickle

ARRAY = np.arange(60, dtype=np.float32).reshape(3, 4, 5)


def value():
    nested = defaultdict(dict)
    nested[0]["pose"] = ARRAY
    return {
        "people": nested,
        "order": OrderedDict(a=np.asfortranarray(ARRAY[0])),
        "list": [(1, "x", b"y", None, True), np.float32(2.5), {3, 4}],
        "names": np.array(["a", "bcd"]),
        "objects": np.array([{"a": ARRAY}, None], dtype=object),
        "empty": np.zeros((0, 3)),
    }


def check(got):
    assert set(got) == set(value())
    np.testing.assert_array_equal(got["people"][0]["pose"], ARRAY)
    assert got["people"][0]["pose"].dtype == np.float32
    np.testing.assert_array_equal(got["order"]["a"], ARRAY[0])
    assert got["list"] == value()["list"]
    assert got["names"].tolist() == ["a", "bcd"]
    np.testing.assert_array_equal(got["objects"][0]["a"], ARRAY)
    assert got["empty"].shape == (0, 3)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_containers_and_arrays(tmp_path, protocol):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value(), protocol=protocol))
    check(read_pickle(tmp_path / "a.pkl"))


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_files_of_joblib(tmp_path, compress, protocol):
    joblib = pytest.importorskip("joblib")
    joblib.dump(value(), tmp_path / "a.pkl", compress=compress, protocol=protocol)
    check(read_pickle(tmp_path / "a.pkl"))


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    tensors = {
        "t": torch.from_numpy(ARRAY.copy())[:, 1:].transpose(1, 2),
        "i": torch.arange(4),
        "b": torch.ones(2, dtype=torch.bfloat16),
    }
    got = load_plain(io.BytesIO(pickle.dumps(tensors)))
    np.testing.assert_array_equal(got["t"], tensors["t"].numpy())
    assert (got["i"].tolist(), got["b"].tolist()) == ([0, 1, 2, 3], [1, 1])
    # a view that claims more than its storage holds would read foreign memory
    whole = pickle.dumps(torch.zeros(4), protocol=2)
    with pytest.raises(pickle.UnpicklingError, match="larger than its storage"):
        load_plain(io.BytesIO(whole.replace(b"K\x04\x85q", b"K\x7f\x85q", 1)))


class _Calls:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def test_nothing_runs_and_nothing_is_changed(tmp_path):
    mark = tmp_path / "ran"
    for evil in (_Calls(open, (str(mark), "w")), _Calls(exec, (f"open({str(mark)!r}, 'w')",))):
        with pytest.raises(pickle.UnpicklingError, match="is not a plain array"):
            load_plain(io.BytesIO(pickle.dumps({"a": [evil]})))
    assert not mark.exists()
    # BUILD with slots sets attributes of the object below: not those of the functions that stand in
    with pytest.raises(pickle.UnpicklingError, match="it builds what is not"):
        load_plain(io.BytesIO(b"\x80\x02cnumpy.core.multiarray\nscalar\nN}X\x0c\x00\x00\x00__defaults__)s\x86b."))


def test_damaged_and_absent_files(tmp_path):
    joblib = pytest.importorskip("joblib")
    path = tmp_path / "a.pkl"
    with pytest.raises(BadInput, match="Cannot read"):
        read_pickle(path)
    rng = np.random.default_rng(0)
    for compress in (0, 3):
        joblib.dump(value(), path, compress=compress)
        whole = path.read_bytes()
        for k in range(100):
            raw = bytearray(whole)
            for i in rng.integers(2, len(raw), 3):
                raw[i] = int(rng.integers(256))
            path.write_bytes(raw[: rng.integers(len(raw))] if k % 2 else raw)
            with suppress(BadInput):  # nothing else
                read_pickle(path)
    path.write_bytes(b"\xd5")  # no opcode: a KeyError of the unpickler
    with pytest.raises(BadInput, match="it is damaged"):
        read_pickle(path)
    cycle = []
    cycle.append(cycle)
    path.write_bytes(pickle.dumps(cycle))
    with pytest.raises(BadInput, match="recursion"):
        read_pickle(path)
