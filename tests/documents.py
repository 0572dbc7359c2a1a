"""The documents of the repository, taken apart for the tests that hold them to the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")),
    ROOT / "cluster" / "README.md",
    ROOT / "medcolor" / "matching" / "DESIGN.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
CURRENT = [path for path in DOCUMENTS if path.parent.name != "decisions"]
"""Those about the code as it is; decisions name settings and files as they were."""

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"\s{2,}.*|\s+#.*")


def name_of(path: Path) -> str:
    """Return a document's path in the repository."""
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str = "") -> list[str]:
    """Return the code blocks of a language; "" is those of a shell."""
    return [body for _, kind, body in _BLOCK.findall(path.read_text()) if kind == language]


def shell_lines(path: Path, command: str) -> list[str]:
    """Return the lines of code blocks that begin with a command, without their comments."""
    text = "\n".join(blocks(path)).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.startswith(f"{command} ")]
    return [_COMMENT.split(line)[0] for line in lines]


def prose(path: Path) -> str:
    """Return a document without its code blocks."""
    return _BLOCK.sub("", path.read_text())


def inline_code(path: Path) -> list[str]:
    """Return what stands between single backticks in the prose."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(path))]


def links(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the path and the anchor of every link and picture that leads into the repository."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            yield file, anchor


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {re.sub(r"\s+", "-", heading.strip()) for heading in plain}
