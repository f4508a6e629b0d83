import click
import crop_margin
from click.testing import CliRunner
from unit.fer_train.synthetic_faces import make_faces


def test_the_model_answers_in_the_labels_of_the_faces(tmp_path, monkeypatch):
    """The default of the other commands answers in FER+'s labels."""

    def open_engine(path, **_):
        raise click.ClickException(f"opened {path.name}")

    for name in ("open_yunet", "YuNetFinder", "FaceSearch"):
        monkeypatch.setattr(crop_margin, name, lambda *_, **__: None)
    monkeypatch.setattr(crop_margin, "read_faces", lambda *_, **__: make_faces(PublicTest=3))
    monkeypatch.setattr(crop_margin, "open_engine", open_engine)
    (tmp_path / "yunet.onnx").touch()
    words = ["--data", str(tmp_path), "--yunet", str(tmp_path / "yunet.onnx")]
    done = CliRunner().invoke(crop_margin.main, words)
    assert "opened senet-int8-cpu.onnx" in done.output
