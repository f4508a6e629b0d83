"""No run writes a file twice, nor one that it reads."""

import os
from pathlib import Path

import pytest

from fer_deploy.errors import ConfigError
from fer_deploy.live.config import LiveConfig, OutputConfig
from fer_deploy.live.output_files import require_fitting_suffixes
from fer_deploy.settings import load_settings


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FER_YUNET", raising=False)
    return tmp_path


def refusal(config_path=None, **settings) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(LiveConfig, config_path, settings)
    return str(caught.value)


def test_every_file_is_named():
    output = OutputConfig(record="d/a.b.mp4", csv="t.csv", parquet="t.parquet", jsonl="t.jsonl")
    tables = ["t.csv", "t.frames.csv", "t.parquet", "t.frames.parquet", "t.jsonl"]
    assert [str(path) for _, path in output.files(1)] == ["d/a.b.mp4", *tables]
    assert [str(path) for _, path in output.files(2)] == ["d/a.b-0.mp4", "d/a.b-1.mp4", *tables]


@pytest.mark.parametrize(
    ("sources", "output", "path", "flag"),
    [
        (["a-0.mp4", "b.mp4"], {"record": "a.mp4"}, "a-0.mp4", "record"),
        (["b.mp4", "a-1.mp4"], {"record": "a.mp4"}, "a-1.mp4", "record"),
        (["t.frames.csv"], {"csv": "t.csv"}, "t.frames.csv", "csv"),
        (["file:///dev/../dev/x.mp4"], {"record": "/dev/x.mp4"}, "/dev/../dev/x.mp4", "record"),
    ],
)
def test_names_that_are_made_up_later_spare_the_sources(sources, output, path, flag):
    said = refusal(source=sources, output=output)
    assert f"{path} is both source and output; it would be overwritten. Fix: another --{flag}" in said


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_links_are_followed(here, link):
    (here / "a.mp4").write_text("video")
    link(here / "a.mp4", here / "b.jsonl")
    assert "a.mp4 is both source and output" in refusal(source=["a.mp4"], output={"jsonl": "b.jsonl"})
    assert "csv and jsonl are the same file" in refusal(output={"csv": "a.mp4", "jsonl": "b.jsonl"})


def test_a_picture_of_the_folder(here):
    (here / "pictures").mkdir()
    said = refusal(source=["pictures"], output={"jsonl": "pictures/a.PNG"})
    assert "pictures/a.PNG is both a picture of the source and output" in said
    load_settings(LiveConfig, None, {"source": ["pictures"], "output": {"jsonl": "pictures/a.jsonl"}})


def test_two_outputs_with_one_name():
    said = refusal(output={"csv": "t.txt", "jsonl": "t.frames.txt"})
    assert "csv and jsonl are the same file, t.frames.txt. Fix: another --jsonl" in said


def test_the_models_are_spared(monkeypatch):
    said = refusal(detection={"detector_model": "y.onnx"}, output={"jsonl": "y.onnx"})
    assert "y.onnx is both detector model and output" in said
    monkeypatch.setenv("FER_YUNET", "z.onnx")
    assert "z.onnx is both detector model and output" in refusal(output={"jsonl": "z.onnx"})
    assert "a.onnx is both engine and output" in refusal(engine="a.onnx", output={"jsonl": "a.onnx"})
    assert "a.plan.json is both engine and output" in refusal(engine="a.plan", output={"jsonl": "a.plan.json"})


def test_the_config_is_spared(here):
    (here / "c.yaml").write_text("output: {jsonl: ./c.yaml}\n")
    assert "c.yaml is both config and output; it would" in refusal(here / "c.yaml")


@pytest.mark.parametrize("source", ["0", "synthetic", "rtsp://camera/1"])
def test_what_is_no_file_can_share_a_name(source):
    load_settings(LiveConfig, None, {"source": [source], "output": {"csv": source}})


def test_paths_without_a_name_are_left_to_what_opens_them():
    load_settings(LiveConfig, None, {"engine": ".", "output": {"csv": "/", "record": "."}})


@pytest.mark.parametrize(
    ("output", "fix"),
    [
        ({"csv": "a.PARQUET"}, "--parquet a.PARQUET"),
        ({"parquet": "a.jsonl"}, "--jsonl a.jsonl"),
        ({"csv": "a.xlsx"}, "--csv a.csv"),
        ({"parquet": "a.xlsx"}, "--parquet a.parquet"),
        ({"events_out": "a.parquet"}, "--events-out a.csv"),
    ],
    ids=str,
)
def test_a_table_is_not_named_as_another_format(output, fix):
    assert f"has the suffix of another format. Fix: {fix}" in refusal(output=output)


def test_a_table_of_pictures_has_no_other_flag():
    for name in ("a.parquet", "a.xlsx"):
        with pytest.raises(ValueError, match=rf"{name} has the suffix of another format\. Fix: --csv a\.csv"):
            require_fitting_suffixes([("csv", Path(name))], flags=("csv",))
    require_fitting_suffixes([("csv", Path("a.csv")), ("csv", Path("a.txt"))], flags=("csv",))
