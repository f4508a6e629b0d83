"""The pages of the documentation and their blocks of code, as tests read them."""

import re
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).parents[1]
PAGES = [REPO / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (REPO / "docs").glob("*.md")
)
SHELL, PYTHON = "sh", "python"
NO_COMMANDS = {"text", "json", "yaml"}
NOT_RUN_REASONS = (
    "needs a camera",
    "needs a GPU",
    "needs a network",
    "needs Docker",
    "needs hours",
    "needs a display",
    "needs several machines",
)
"""A mark names what this machine or the test's time lacks; details may follow after a comma."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n?)+")
_MARK = re.compile(r"<!-- (slow|not-run: .+?) -->\n\Z")
_INLINE = re.compile(r"`[^`\n]+`")
_ANY_MARK = re.compile(r"<!-- *(?:slow|not-run)\b.*?-->")


@dataclass(frozen=True)
class Block:
    """A fenced or indented block of code.

    Attributes:
        language: the word behind the fence; empty for an indented block.
        text: its lines, each with its line break.
        line: number of its first line in the page, from 1; 0 for an indented block.
        mark: what the HTML comment directly above says: "slow", "not-run: REASON", or nothing.
    """

    language: str
    text: str
    line: int = 0
    mark: str = ""

    @property
    def is_code(self) -> bool:
        """Whether the tests run such blocks."""
        return self.language in (SHELL, PYTHON)


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of a page: those with fences in their order, then indented ones."""
    found = []
    for match in FENCE.finditer(page):
        before = page[: match.start()]
        mark = _MARK.search(before)
        found.append(Block(match[1], match[2], before.count("\n") + 2, mark[1] if mark else ""))
    indented = _INDENTED.findall(FENCE.sub("", page))
    return found + [Block("", re.sub(r"^ {4}", "", text, flags=re.MULTILINE)) for text in indented]


def mark_faults(page: str) -> list[str]:
    """Return marks that are not directly above a block of shell or Python, and marks without a known reason."""
    blocks = [block for block in blocks_of(page) if block.mark]
    faults = [f"line {block.line}: {block.language} is not run anyway" for block in blocks if not block.is_code]
    faults += [
        f"line {block.line}: {block.mark}: expected one of {', '.join(NOT_RUN_REASONS)}"
        for block in blocks
        if block.mark != "slow" and not block.mark.removeprefix("not-run: ").startswith(NOT_RUN_REASONS)
    ]
    num_marks = len(_ANY_MARK.findall(_INLINE.sub("", page)))
    return faults + ([f"{num_marks} marks, {len(blocks)} of them above a block"] if num_marks != len(blocks) else [])
