#!/usr/bin/env python3
"""Write docs/interfaces.md from the files of src/exoactor_interfaces."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "interfaces.md"
PARTS = {"action": ("Goal", "Result", "Feedback"), "srv": ("Request", "Response"), "msg": ("",)}
HEADER = """# Interfaces

The actions and messages of the package `exoactor_interfaces`. This page is generated from its files by
`scripts/generate_interfaces.py`.
"""


def table(text: str) -> str:
    """Return the comments and the fields of one part of an interface as Markdown."""
    notes, rows = [], []
    for line in text.splitlines():
        field, _, comment = line.partition("#")
        comment = comment.strip().replace("|", "\\|")
        if field.strip():
            kind, name, *default = field.split(maxsplit=2)
            comment = "; ".join(filter(None, [comment, *(f"default {value.strip()}" for value in default)]))
            rows.append(f"| `{kind}` | `{name}` | {comment} |")
        elif comment and rows and line.startswith(" "):  # goes on with the comment of the field above
            rows[-1] = rows[-1].removesuffix(" |") + f" {comment} |"
        elif comment:
            notes.append(comment)
    lines = [*notes, "", "| type | field | meaning |", "|---|---|---|", *rows] if rows else [*notes, "", "No fields."]
    return "\n".join(lines).strip() + "\n"


def page(folder: Path) -> str:
    """Return the page for a package's folder with ``action/``, ``srv/`` and ``msg/``."""
    sections = [HEADER]
    for kind, titles in PARTS.items():
        for path in sorted((folder / kind).glob(f"*.{kind}")):
            sections.append(f"## {path.stem} ({kind})\n")
            for title, text in zip(titles, path.read_text().split("\n---\n"), strict=True):
                sections.append((f"**{title}**\n\n" if title else "") + table(text))
    return "\n".join(sections)


if __name__ == "__main__":
    PAGE.write_text(page(ROOT / "src" / "exoactor_interfaces"))
    sys.stdout.write(f"{PAGE.relative_to(ROOT)}\n")
