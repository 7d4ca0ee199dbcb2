"""bench/compare.py: the same benchmark with the packages of two checkouts."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def compare(*arguments):
    command = [sys.executable, ROOT / "bench/compare.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_figures_of_both_checkouts_stand_side_by_side(tmp_path):
    package = tmp_path / "before/src/exoactor_core/exoactor_core"
    package.mkdir(parents=True)
    (package.parent / "setup.py").touch()
    (package / "__init__.py").touch()
    bench = tmp_path / "bench.py"
    bench.write_text(
        "import exoactor_core, json, sys\n"
        "earlier = 'before' in exoactor_core.__file__\n"
        "print(json.dumps({'a': {'b': 1 if earlier else 2}, 'given': float(sys.argv[2]), 'words': 'no figure'}))\n"
    )
    done = compare(tmp_path / "before", bench, "--seconds", "5")
    assert json.loads(done.stdout) == {"a.b": {"before": 1.0, "after": 2.0}, "given": {"before": 5.0, "after": 5.0}}


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    done = compare(tmp_path, "bench.py")
    assert done.returncode == 2
    assert "src/*/setup.py" in " ".join(done.stderr.split())
