"""The documentation: its length, its links, the files that it names, and what is generated."""

import importlib.util
import re
from pathlib import Path

import pytest

from exoactor_core.errors import CAUSES, ExoActorError

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS]


def prose(page):
    """Return a page's text without its code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "code", re.sub(r"^ {4}.*$", "", text, flags=re.M))


def anchors(page):
    """Return the anchors of a page's headings, made as GitHub and mkdocs make them of plain words."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}, which does not exist"
        assert not anchor or anchor in anchors(target), (
            f"{page.name} links to {link}, but {target.name} has no such heading"
        )


def test_every_page_is_in_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2].partition("\ntheme:")[0]
    assert sorted(re.findall(r"([\w/]+\.md)$", nav, flags=re.M)) == [page.name for page in DOCS]


def test_the_files_of_the_architecture_exist():
    text = (ROOT / "docs" / "architecture.md").read_text()
    lines = [re.findall(r"`([\w/.]+(?:\.py|/))`", line) for line in text.splitlines()]
    assert sum(map(len, lines)) > 25
    for names in lines:
        folder = None
        for name in names:  # a bare name is beside the file before it
            package = name.split("/")[0]
            path = folder / name if "/" not in name else ROOT / ("" if package == "launch" else f"src/{package}") / name
            assert path.exists(), f"docs/architecture.md names {name}, which does not exist"
            folder = path.parent


def test_the_architecture_has_a_place_for_every_module_of_the_core():
    text = (ROOT / "docs" / "architecture.md").read_text()
    modules = {path.name for path in (ROOT / "src/exoactor_core/exoactor_core").glob("*.py")} - {"__init__.py"}
    assert modules <= set(re.findall(r"[`/](\w+\.py)`", text))


def test_the_interfaces_page_is_up_to_date():
    spec = importlib.util.spec_from_file_location("generate_interfaces", ROOT / "scripts" / "generate_interfaces.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.PAGE.read_text() == generator.page(ROOT / "src" / "exoactor_interfaces"), "run make docs"


def test_each_cause_of_an_error_has_a_code_on_the_wire_and_a_row_in_the_docs():
    names = {code: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cause.__name__).upper() for code, cause in CAUSES.items()}
    bases = set()
    for path in (ROOT / "src" / "exoactor_interfaces" / "action").glob("*.action"):
        codes = {int(code): name for name, code in re.findall(r"^uint16 ([A-Z_]+)=([1-9]\d*)", path.read_text(), re.M)}
        base = min(codes) // 100 * 100
        bases.add(base)
        assert {code - base: name for code, name in codes.items()} == names, path.name
    assert bases == {100, 200, 300, 400, 500}
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| `(\w+)` \| (\d+) \|", page, re.M)
    classes = [(names[code], str(code), cause.__name__, str(cause.exit_code)) for code, cause in CAUSES.items()]
    assert sorted(rows) == sorted(classes)


def test_errors_are_raised_by_cause():
    """Every class of `exoactor_core.errors` has its own code, or inherits none: a new one belongs into the table."""
    assert [cause.code for cause in CAUSES.values()] == list(CAUSES)
    assert not hasattr(ExoActorError, "code")
