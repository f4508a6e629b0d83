"""Files that are no engine: what they are is said, and the Fix is about that very file."""

import io
import pickle
import struct
import zipfile

import pytest

from fer_deploy.engines import open_engine
from fer_deploy.engines.foreign_file import foreign_file
from fer_deploy.errors import ArtifactError
from fer_deploy.export.graph.source import read_onnx

SAFETENSORS = struct.pack("<Q", 16) + b'{"__metadata__"}' + b"\x00" * 8
TFLITE = b"\x1c\x00\x00\x00TFL3" + b"\x00" * 8
HDF5 = b"\x89HDF\r\n\x1a\n" + b"\x00" * 8


def zipped(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, b"x" * 100)
    return content.getvalue()


CASES = {
    "a.safetensors": (SAFETENSORS, "it is a checkpoint", "fer-deploy export --checkpoint {path} --out artifacts/a"),
    "a.onnx": (SAFETENSORS, "it is a checkpoint", "fer-deploy export --checkpoint {path} --out artifacts/a"),
    "b.onnx": (zipped("archive/data.pkl"), "it is a pickle of PyTorch", "{path} itself cannot be converted"),
    "b.pth": (zipped("archive/data.pkl"), "it is a pickle of PyTorch", "{path} itself cannot be converted"),
    "c.pt": (pickle.dumps({"a": 1}), "it is a pickle of PyTorch", "{path} itself cannot be converted"),
    "c.onnx": (zipped("model.onnx"), "it is a ZIP archive", "unpack {path} and give the .onnx in it"),
    "d.h5": (HDF5, "it is a Keras model", "{path} itself cannot be converted"),
    "d.onnx": (HDF5, "it is a Keras model", "{path} itself cannot be converted"),
    "e.tflite": (TFLITE, "it is a TensorFlow Lite model", "{path} itself cannot be converted"),
    "e.onnx": (TFLITE, "it is a TensorFlow Lite model", "{path} itself cannot be converted"),
    "f.onnx": (b"hello world", "it is a text", "in place of {path}"),
    "f.plan": (zipped("model.plan"), "it is a ZIP archive", "unpack {path}"),
    "g.onnx": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS", "git lfs pull, beside {path}"),
    "m.ferpack": (
        zipped("manifest.json"),
        "it is a pack",
        "fer-deploy rebuild {path} --out artifacts/m, then that folder",
    ),
    "h.onnx": (b"\n<!DOCTYPE html><html>", "it is a web page", "download {path} again"),
    "i.onnx": (b"ftrt\x00\x01", "it is a TensorRT plan", "name it i.plan, with the manifest i.plan.json beside it"),
    "j.onnx": (b"vtrt\x00\x01", "it is a TensorRT plan", "name it j.plan"),
    "k.trt": (b"ftrt\x00\x01", "it is a TensorRT plan", "name it k.plan"),
    "l.onnx": (b"\x1f\x8b\x08\x00", "it is a compressed file", "unpack {path}"),
    "n.onnx": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "it is a picture", "fer-deploy image {path}"),
    "o.onnx": (b"\x89PNG\r\n\x1a\n\x00", "it is a picture", "fer-deploy image {path}"),
    "p.onnx": (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "it is a picture", "fer-deploy image {path}"),
    "q.plan": (b"\x00\x00\x00\x18ftypheic", "it is a picture", "fer-deploy image {path}"),
    "r.onnx": (b"\x00\x00\x00\x18ftypisom", "it is a video", "fer-deploy live --source {path}"),
    "s.plan": (b"\x08\x0a\x12\x07pytorch", "it is an ONNX model", "rename it to s.onnx"),
    "v.onnx.old": (b"\x08\x0a\x12\x07pytorch", "it is an ONNX model", "rename it to v.onnx"),
    "t.pb": (b"\x08\x08\x3a\x07pytorch", "it is an ONNX model", "rename it to t.onnx"),
    "u.pb": (b"\x08\x01\x12\x07", "it is a TensorFlow graph", "{path} itself cannot be converted"),
    "m n.safetensors": (SAFETENSORS, "it is a checkpoint", "--checkpoint '{path}' --out artifacts/'m n'"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("call", [open_engine, read_onnx])
def test_what_it_is_and_what_helps(tmp_path, name, call):
    content, what, fix = CASES[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        call(path)
    text = str(caught.value)
    assert text.startswith(f"cannot open {path}: ")
    assert what in text
    assert fix.format(path=path) in text.partition(" Fix: ")[2]


@pytest.mark.parametrize("content", [b"\x08\x0a" + b"\x12" * 40, b"\x00" * 64, b"\xff\xd7\xff"])
def test_nothing_is_guessed(tmp_path, content):
    (tmp_path / "a.onnx").write_bytes(content)
    assert foreign_file(tmp_path / "a.onnx") is None


@pytest.mark.parametrize("suffix", [".plan", ".engine"])
@pytest.mark.parametrize("content", [b"vtrt\x00", b"a format that nobody describes"])
def test_a_plan_is_a_plan(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    assert foreign_file(path) is None


class TestMissing:
    def fix(self, path) -> str:
        with pytest.raises(ArtifactError, match=r"^no model at ") as caught:
            open_engine(path)
        return str(caught.value).partition(" Fix: ")[2]

    def test_the_nearest_name(self, tmp_path):
        for name in ("net-fp16.onnx", "net-int8-cpu.onnx", "report.md"):
            (tmp_path / name).write_bytes(b"x")
        assert self.fix(tmp_path / "net-int8.onnx") == f"did you mean {tmp_path / 'net-int8-cpu.onnx'}?"

    @pytest.mark.parametrize(("name", "content"), [("trunc.onnx", b"x"), ("misssing.onnx", b"")])
    def test_a_file_that_is_not_alike_or_empty_is_not_suggested(self, tmp_path, name, content):
        (tmp_path / name).write_bytes(content)
        assert self.fix(tmp_path / "missing.onnx").startswith("fer-deploy export --checkpoint CHECKPOINT")

    def test_a_plan(self, tmp_path):
        path = tmp_path / "net.plan"
        assert self.fix(path) == f"fer-deploy build --onnx {path.with_suffix('.onnx')} --out {path}"

    def test_a_checkpoint(self, tmp_path):
        assert self.fix(tmp_path / "net.safetensors").startswith("fer-deploy export --checkpoint, with the path of")

    @pytest.mark.parametrize("folder", ["", "no such folder"])
    def test_a_model(self, tmp_path, folder):
        path = tmp_path / folder / "net.onnx"
        wanted = f"'{path.parent}'" if folder else str(path.parent)
        assert self.fix(path).startswith(f"fer-deploy export --checkpoint CHECKPOINT.safetensors --out {wanted}")
