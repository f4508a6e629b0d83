"""Tests for Manifest: damaged files, other versions, and how addresses are shown."""

import pyarrow.parquet as pq
import pytest
from integration.analyze_videos import make_models

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.archive.manifest import NAME, About, Manifest, Segment, VideoRow
from fer_deploy.archive.store import Store
from fer_deploy.errors import ArtifactError, ConfigError

UNUSABLE = r"manifest.parquet in .* is damaged or of another version: .*\. Fix: the version that wrote it, or .*again"


@pytest.fixture
def store(tmp_path):
    about = About.of(AnalyzeConfig.model_validate({"out": "."}), make_models(tmp_path / "engine.onnx"), 0.0)
    start = '{"index":0,"pts":null}'
    rows = [
        VideoRow(id=str(i), address=f"/videos/{i}.mp4", num_frames=9, segments=(Segment(0, 0, 9, start),))
        for i in range(3)
    ]
    Manifest.of(about, rows).save(Store(str(tmp_path)))
    return Store(str(tmp_path))


def test_it_is_read_as_it_was_written(store):
    manifest = Manifest.load(store)
    assert sorted(manifest.rows) == ["0", "1", "2"]
    assert Manifest.of(manifest.about, manifest.rows.values()) == manifest


@pytest.mark.slow
def test_any_damaged_byte_is_found_or_harmless(store):
    content, whole = store.read(NAME), Manifest.load(store)
    found = 0
    for place in range(0, len(content), 7):
        store.write(NAME, content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            same = Manifest.load(store)
        except ArtifactError:
            found += 1
            continue
        assert same == whole
    assert found


def test_a_truncated_one(store):
    content = store.read(NAME)
    for length in (0, 5, len(content) // 2, len(content) - 1):
        store.write(NAME, content[:length])
        with pytest.raises(ArtifactError, match=UNUSABLE):
            Manifest.load(store)


def test_one_of_another_schema(store):
    manifest = Manifest.load(store)
    Manifest(manifest.about.model_copy(update={"schema_version": 2}), manifest.rows).save(store)
    with pytest.raises(ArtifactError, match=r"its schema is 2, expected 1\. Fix: "):
        Manifest.load(store)


def test_one_whose_rows_were_changed(store, tmp_path):
    table = pq.read_table(tmp_path / NAME)
    pq.write_table(table.slice(1), tmp_path / NAME)
    with pytest.raises(ArtifactError, match="its hash is not that of its rows"):
        Manifest.load(store)


def test_one_whose_price_was_changed(store, tmp_path):
    table = pq.read_table(tmp_path / NAME)
    about = {
        key: text.replace(b'"price_per_core_hour":0.0', b'"price_per_core_hour":9.0')
        for key, text in table.schema.metadata.items()
    }
    assert about != table.schema.metadata
    pq.write_table(table.replace_schema_metadata(about), tmp_path / NAME)
    with pytest.raises(ArtifactError, match="its settings were changed"):
        Manifest.load(store)


@pytest.mark.parametrize(
    ("folder", "argument"), [("out", "out"), ("my videos", "'my videos'"), ("-x", "./-x"), ("s3://a/b", "s3://a/b")]
)
def test_the_command_of_a_fix_can_be_pasted(folder, argument, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if "://" not in folder:
        with pytest.raises(ConfigError, match=rf"plan INPUT\.\.\. --out {argument}$"):
            Manifest.load(Store(folder))
    store = Store.__new__(Store)  # without the packages of s3
    store.address = folder
    assert store.argument == argument


def test_an_address_is_shown_in_one_line_without_a_password():
    row = VideoRow(id="0", address="https://me:secret@host/a\n\u202eb.mp4")
    assert "\n" not in row.shown
    assert "\u202e" not in row.shown
    assert "secret" not in row.shown
