"""Nothing that is tracked names a folder of the machine that made it, and so no user."""

import re
import subprocess
from pathlib import Path

import pytest

_FOLDERS = re.compile(rb"(?<![\w.])(?:/home/|/root/|/Users/|/work/|/mnt/|[A-Za-z]:\\\\?Users\\)[\w.-]*")
_TEMPORARY = re.compile(rb"(?<![\w.])/tmp/[\w.-]+")
_MADE = ("weights/", "benchmarks/results/", "fer_deploy/models/", "docs/")
"""What programs wrote; source may name /tmp."""


@pytest.fixture(scope="module")
def tracked(repo_dir) -> dict[str, bytes]:
    done = subprocess.run(["git", "-C", repo_dir, "ls-files", "-z"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    names = [name.decode() for name in done.stdout.split(b"\0") if name]
    return {name: (repo_dir / name).read_bytes() for name in names if (repo_dir / name).is_file()}


def test_of_this_machine(tracked, repo_dir):
    own = [str(folder).encode() for folder in (repo_dir, Path.home()) if len(folder.parts) > 2]
    found = {name for name, content in tracked.items() if any(folder in content for folder in own)}
    assert found == set()


@pytest.mark.slow
def test_of_any_machine(tracked):
    """Tests may name some, to see them go."""
    found = {
        name: matches
        for name, content in tracked.items()
        if not name.startswith("tests/") and (matches := _FOLDERS.findall(content))
    }
    assert found == {}


def test_temporary_folders_in_what_was_made(tracked):
    made = {name: content for name, content in tracked.items() if name.startswith(_MADE)}
    assert len(made) > 20
    assert {name: matches for name, content in made.items() if (matches := _TEMPORARY.findall(content))} == {}
