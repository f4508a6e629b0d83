"""docs/licences.md names every direct dependency, at the version that is installed in CI."""

import re
import tomllib
from importlib import metadata

import pytest

from fer_deploy.live.sinks.video.codecs import choose_encoding

_ROW = re.compile(r"^\| ([\w-]+) \| ([\w. ]+) \| .+ \| (.+) \|$", re.MULTILINE)


def canonical(name: str) -> str:
    return name.lower().replace("_", "-")


@pytest.fixture(scope="module")
def rows(repo_dir) -> dict[str, tuple[str, str]]:
    """Return version and licence of each package of the page."""
    text = (repo_dir / "docs" / "licences.md").read_text().partition("## Packages")[2]
    return {canonical(name): (version, licence) for name, version, licence in _ROW.findall(text) if name != "package"}


@pytest.fixture(scope="module")
def pinned(repo_dir) -> dict[str, str]:
    lines = (repo_dir / "constraints.txt").read_text().splitlines()
    return {canonical(name): version for name, _, version in (line.partition("==") for line in lines) if version}


@pytest.fixture(scope="module")
def direct(repo_dir) -> set[str]:
    project = tomllib.loads((repo_dir / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    return {canonical(re.split(r"[\[<>=]", one)[0]) for one in wanted} - {"fer-toolchain"}


def test_every_direct_dependency_is_named(rows, direct):
    assert set(rows) == direct


def test_versions_are_those_of_the_constraints(rows, pinned, direct):
    assert direct - set(pinned) == {"tensorrt"}, "no GPU has run it yet"
    assert {name: version for name, (version, _) in rows.items() if name in pinned} == {
        name: pinned[name] for name in rows if name in pinned
    }


def test_none_that_is_installed_is_under_the_agpl(rows):
    """Nor under the GPL: what is so in a wheel stands in the page's first table."""
    for name in rows:
        try:
            found = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
        said = [found.get("License-Expression") or "", (found.get("License") or "").splitlines()[:1]]
        said += [one for one in found.get_all("Classifier") or [] if one.startswith("License")]
        assert not re.search(r"\bA?GPL|Affero", str(said)), (name, said)


def test_recordings_take_no_encoder_under_the_gpl():
    assert choose_encoding().encoder not in {"libx264", "libx265", "libxvid"}
