"""The layout of CONTRIBUTING.md: its tree names every folder, and neither folders nor files grow too large."""

import re
from pathlib import Path

from docs_pages import REPO

MAX_FILES = 15
MAX_LINES = 300
PROGRAMS = ("fer_deploy", "fer_train", "benchmarks")
OF_TOOLS = {"__pycache__"}


def folders_of(root: Path) -> list[Path]:
    """Return a folder and all below it that hold files, without published results and caches."""
    found = (path for path in (root, *root.rglob("*")) if path.is_dir() and not OF_TOOLS & set(path.parts))
    return [
        path
        for path in found
        if REPO / "benchmarks" / "results" not in path.parents and any(one.is_file() for one in path.iterdir())
    ]


def tree_of(page: str) -> set[str]:
    """Return the folders that the tree of a page names, relative to the repository."""
    names: list[str] = []
    found = set()
    for line in page.partition("## Folders")[2].partition("```text\n")[2].partition("```")[0].splitlines():
        indent, name = re.fullmatch(r"( *)(\S+?)/?;? .*", line).groups()
        names = [*names[: len(indent) // 2], name]
        found.add("/".join(names))
    return found


def test_the_tree_names_every_folder():
    tree = tree_of((REPO / "CONTRIBUTING.md").read_text())
    missing = [
        path.relative_to(REPO).as_posix()
        for root in (*PROGRAMS, "docs", "deploy")
        for path in folders_of(REPO / root)
        if path.relative_to(REPO).as_posix() not in tree
    ]
    assert not missing, "not in the tree of CONTRIBUTING.md"


def test_every_folder_of_the_tree_is_there():
    patterns = tree_of((REPO / "CONTRIBUTING.md").read_text())
    assert not [one for one in patterns if not list(REPO.glob(one))]


def test_folders_are_small():
    """Folders of programs; tests, published results and benchmarks (a script a question) may have more files."""
    large = {
        path.relative_to(REPO).as_posix(): number
        for root in PROGRAMS
        for path in folders_of(REPO / root)
        if path != REPO / "benchmarks" and (number := sum(one.is_file() for one in path.iterdir())) > MAX_FILES
    }
    assert not large


def test_files_are_short():
    roots = (*PROGRAMS, "tests", "docs", "examples")
    files = [path for root in roots for path in (REPO / root).rglob("*.py")]
    assert files
    assert not [path for path in files if len(path.read_text().splitlines()) > MAX_LINES]


def test_the_formatter_formats():
    """One table of operators is as its author laid it out."""
    files = [path for root in PROGRAMS for path in (REPO / root).rglob("*.py")]
    skipped = [path.name for path in files if re.search(r"# fmt: (skip|off)", path.read_text())]
    assert skipped == ["work.py"]
