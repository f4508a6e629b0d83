"""Exports whose files cannot be written, or not all of them."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
from integration.export_models import config_of, contents, failure_of
from integration.full_disk import file_size_limit

from fer_deploy.errors import ExportError
from fer_deploy.export import pipeline
from fer_deploy.export.pipeline import export

TIGHT = {"fp32": {"max_abs_logit": 1e-12}}


@pytest.mark.usefixtures("quick_export")
class TestPublishing:
    """What cannot be published as a whole leaves the old artifacts, byte for byte."""

    def test_a_full_disk_at_publishing(self, small_release, out, monkeypatch):
        real = pipeline.drafted

        @contextmanager
        def on_a_full_disk(files):
            with file_size_limit(4096), real(files) as drafts:
                yield drafts

        monkeypatch.setattr(pipeline, "drafted", on_a_full_disk)
        text = failure_of(config_of(small_release, out), ExportError)
        assert "cannot write small-fp32.onnx, small-fp16.onnx, report.json, report.md into" in text
        assert "File too large. Nothing was changed" in text
        assert sorted(path.name for path in out.iterdir()) == sorted(contents(out))

    def test_a_full_disk_hides_no_failure(self, small_release, out, monkeypatch):
        real = pipeline.write_together

        def on_a_full_disk(files):
            with file_size_limit(100):
                real(files)

        monkeypatch.setattr(pipeline, "write_together", on_a_full_disk)
        text = failure_of(config_of(small_release, out, limits=TIGHT))
        assert "small-fp32.onnx (stage onnx) differs" in text
        assert "and no report (cannot write report-failed.json" in text

    def test_a_full_temporary_folder(self, small_release, out):
        with file_size_limit(50_000):
            text = failure_of(config_of(small_release, out), ExportError)
        assert "cannot write temporary files into" in text
        assert "Fix: free space, or TMPDIR=" in text

    @pytest.mark.parametrize("guilty", ["report.md", "small-fp16-onnx"])
    def test_a_triton_repository_comes_with_the_artifacts_or_not_at_all(
        self, small_release, out, tmp_path, monkeypatch, guilty
    ):
        repository, replace = tmp_path / "repository", os.replace
        before = contents(out)

        def fail(source, target):
            if Path(target).name == guilty and not str(source).endswith(".old"):
                raise OSError(5, "Input/output error")
            replace(source, target)

        monkeypatch.setattr(os, "replace", fail)
        text = failure_of(config_of(small_release, out, triton=repository), ExportError)
        assert f"cannot write {guilty} into" in text
        assert contents(out) == before
        assert not repository.exists()

    def test_a_foreign_folder_in_the_repository(self, small_release, out, tmp_path):
        foreign = tmp_path / "repository" / "small-fp16-onnx" / "config.pbtxt"
        foreign.parent.mkdir(parents=True)
        foreign.write_text("colour: 3")
        text = failure_of(config_of(small_release, out, triton=tmp_path / "repository"), ExportError)
        assert "was not written by fer-deploy" in text
        assert [path.name for path in foreign.parents[1].iterdir()] == ["small-fp16-onnx"]

    def test_a_report_that_cannot_be_written(self, small_release, out):
        (out / "report.md").unlink()
        (out / "report.md").mkdir()
        text = failure_of(config_of(small_release, out), ExportError)
        assert "cannot write" in text

    def test_out_is_a_file(self, small_release, tmp_path):
        (tmp_path / "out").write_text("x")
        with pytest.raises(ExportError, match=r"cannot write .* into .*out: File exists\. .*another --out"):
            export(config_of(small_release, tmp_path / "out"))
        assert (tmp_path / "out").read_text() == "x"
