"""The checkpoint of an export: its weights, spec and digest are of one file."""

import hashlib
import os
import shutil

import pytest

from fer_deploy.errors import ArtifactError
from fer_deploy.export import checkpoint as module
from fer_deploy.export.checkpoint import load_checkpoint


@pytest.fixture
def path(tmp_path, tiny_release):
    return shutil.copy(tiny_release, tmp_path / "net.safetensors")


def test_the_digest_is_of_the_file(path):
    assert load_checkpoint(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def replaced(path):
    other = path.with_name("other.safetensors")
    other.write_bytes(path.read_bytes())
    os.replace(other, path)


def written(path):
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize("change", [replaced, written, os.unlink])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_file_that_changes_while_it_is_read(path, monkeypatch, change, when):
    load = module.load_release

    def load_beside_another_program(path):
        if when == "before":
            change(path)
        loaded = load(path)
        if when == "after":
            change(path)
        return loaded

    monkeypatch.setattr(module, "load_release", load_beside_another_program)
    with pytest.raises(ArtifactError, match=r"net\.safetensors( changed while it was read|: |\. ).*Fix: "):
        load_checkpoint(path)


def test_a_foreign_file_is_refused_from_its_header(tmp_path):
    path = tmp_path / "huge.safetensors"
    header = b'{"w":{"dtype":"U8","shape":[68719476736],"data_offsets":[0,68719476736]}}'
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 2**36)  # sparse: 64 GiB that nobody may read
    with pytest.raises(ArtifactError, match=r"without a ModelSpec|unable to mmap"):
        load_checkpoint(path)
