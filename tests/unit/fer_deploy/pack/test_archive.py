"""The file of a pack: equal members give equal bytes, and nothing damaged or foreign is used."""

import contextlib
import io
import json
import re
import zipfile

import pytest

from fer_deploy.errors import ArtifactError
from fer_deploy.pack.archive import read_pack, write_pack

MEMBERS = {
    "net-fp32.onnx": b"weights" * 100,
    "net-int8-cpu.onnx": b"small",
    "recipe.json": b"{}",
    "report.json": b"{}",
    "io.npz": b"arrays",
}
ABOUT = {"tool_version": "1.2.3", "model": "net", "has_people": False}
AGAIN = "Fix: copy the file again, or make it again with fer-deploy pack"


@pytest.fixture
def path(tmp_path):
    write_pack(tmp_path / "net.ferpack", MEMBERS, ABOUT)
    return tmp_path / "net.ferpack"


def rewritten(path, change):
    """Write the zip again after `change(members: list of (ZipInfo, bytes))`."""
    with zipfile.ZipFile(path) as packed:
        members = [(entry, packed.read(entry)) for entry in packed.infolist()]
    change(members)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for entry, content in members:
            packed.writestr(entry, content)
    path.write_bytes(file.getvalue())


def with_manifest(path, change):
    def edit(members):
        entry, content = members[0]
        assert entry.filename == "manifest.json"
        manifest = json.loads(content)
        change(manifest)
        members[0] = (entry, json.dumps(manifest).encode())

    rewritten(path, edit)


def test_every_member_comes_back(path):
    pack = read_pack(path)
    assert {name: pack.read(name) for name in pack.manifest.members} == MEMBERS
    assert pack.manifest.models == ["net-fp32.onnx", "net-int8-cpu.onnx"]
    assert (pack.manifest.format, pack.manifest.tool_version, pack.manifest.has_people) == (
        "fer-pack-1",
        "1.2.3",
        False,
    )


def test_the_bytes_depend_on_the_members_alone(path, tmp_path):
    write_pack(tmp_path / "again.ferpack", dict(reversed(MEMBERS.items())), ABOUT)
    assert (tmp_path / "again.ferpack").read_bytes() == path.read_bytes()


def test_a_flipped_bit_in_a_member_is_found(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"weightsweights") + 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=re.escape(f"cannot read net-fp32.onnx in {path}: damaged")):
        read_pack(path).read("net-fp32.onnx")


def test_every_changed_byte_is_found_or_changes_nothing(path):
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        with contextlib.suppress(ArtifactError):
            pack = read_pack(path)
            assert {name: pack.read(name) for name in pack.manifest.members} == MEMBERS


def test_other_bytes_with_a_right_checksum_of_the_zip_are_found(path):
    rewritten(path, lambda members: members.append((members.pop()[0], b"{]")))
    with pytest.raises(ArtifactError, match=r"report.json in .* is damaged: its SHA-256 is [0-9a-f]{64}, expected .*"):
        read_pack(path).read("report.json")


@pytest.mark.parametrize("keep", [0, 10, 400, -30])
def test_a_truncated_file_is_no_pack(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=re.escape(f"{path} is damaged, or no pack (")) as caught:
        read_pack(path)
    assert str(caught.value).endswith(AGAIN)


@pytest.mark.parametrize(
    "name", ["../evil-fp32.onnx", "/etc/net-fp32.onnx", "a/b-fp32.onnx", "net.plan", "x.py", ".-fp32.onnx"]
)
def test_a_name_that_no_pack_has_is_refused(path, name):
    rewritten(path, lambda members: members.append((zipfile.ZipInfo(name), b"x")))
    with pytest.raises(ArtifactError, match=re.escape(f"{path} is no pack: it contains {name!r}, which no pack has")):
        read_pack(path)


def test_a_compressed_member_is_refused_before_it_is_unpacked(path):
    def bomb(members):
        entry = zipfile.ZipInfo("net-fp16.onnx")
        entry.compress_type = zipfile.ZIP_DEFLATED
        members.append((entry, bytes(10_000_000)))

    rewritten(path, bomb)
    with pytest.raises(ArtifactError, match=r"net-fp16.onnx is compressed, and members of a pack are not"):
        read_pack(path)


def test_a_member_twice_is_refused(path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        rewritten(path, lambda members: members.append((zipfile.ZipInfo("io.npz"), b"other")))
    with pytest.raises(ArtifactError, match=r"it contains io.npz twice"):
        read_pack(path)


def test_a_member_that_the_manifest_lacks_is_refused(path):
    rewritten(path, lambda members: members.append((zipfile.ZipInfo("net-fp16.onnx"), b"x")))
    with pytest.raises(ArtifactError, match=r"is damaged: net-fp16.onnx is not what its manifest lists"):
        read_pack(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.update(format="fer-pack-2"), "format: expected 'fer-pack-1'"),
        (lambda manifest: manifest["members"].pop("io.npz"), "it lists no io.npz"),
        (lambda manifest: manifest["members"].pop("net-fp32.onnx"), "it lists no FP32 model"),
        (lambda manifest: manifest["members"].update({"../x": manifest["members"]["io.npz"]}), "'../x' is no member"),
        (lambda manifest: manifest.clear(), "tool_version: is missing"),
    ],
)
def test_another_manifest_is_refused(path, change, message):
    with_manifest(path, change)
    with pytest.raises(ArtifactError, match=re.escape(message)):
        read_pack(path)


def test_a_zip_without_a_manifest_is_no_pack(path):
    rewritten(path, lambda members: members.pop(0))
    with pytest.raises(ArtifactError, match=r"is no pack: it has no manifest.json"):
        read_pack(path)


def test_no_file(tmp_path):
    with pytest.raises(ArtifactError, match=r"No such file or directory. Fix: the path of a file that fer-deploy pack"):
        read_pack(tmp_path / "absent.ferpack")
