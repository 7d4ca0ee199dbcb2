"""docs/safety.md names the test of each row, and `make test-faults` runs it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def marked(node):
    """Whether a decorator, or what a module assigns to pytestmark, names the marker `faults`."""
    return any(isinstance(n, ast.Attribute) and n.attr == "faults" for n in ast.walk(node))


def names_with_the_marker():
    found = set()
    for path in [*ROOT.glob("src/*/test/test_*.py"), *ROOT.glob("tests/test_*.py")]:
        tree = ast.parse(path.read_text())
        everywhere = any(
            isinstance(n, ast.Assign) and n.targets[0].id == "pytestmark" and marked(n)
            for n in tree.body
            if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)
        )
        for n in tree.body:
            if isinstance(n, ast.FunctionDef) and (everywhere or any(map(marked, n.decorator_list))):
                found.add(n.name)
    return found


def test_every_row_names_tests_that_are_run():
    tables = (ROOT / "docs" / "safety.md").read_text().partition("## Measured")[0]
    rows = [line for line in tables.splitlines() if line.startswith("| ") and not line.endswith("| test |")]
    known = names_with_the_marker()
    assert len(rows) > 20
    for row in rows:
        names = re.findall(r"`(test_\w+)`", row)
        assert names, f"no test is named: {row}"
        assert set(names) <= known, f"{set(names) - known} is not there, or lacks the marker faults"
