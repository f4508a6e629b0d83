"""Several videos in one run of analyze."""

import re

import pytest
from integration.analyze_videos import make_config, make_models, write_squares

from fer_deploy.analyze import results
from fer_deploy.analyze.batch import VideoBatch
from fer_deploy.analyze.progress import AnalysisProgress
from fer_deploy.errors import ConfigError, StreamError


@pytest.fixture
def video(tmp_path):
    return write_squares(tmp_path / "squares.mp4", 30)


class TestBatch:
    def make(self, videos, out, **models):
        engine_file = out.parent / "engine.onnx"
        return VideoBatch(videos, make_config(out, video=False), make_models(engine_file), AnalysisProgress())

    def test_a_bad_one_does_not_stop_the_others(self, video, tmp_path):
        bad = tmp_path / "bad.mp4"
        bad.write_bytes(b"x" * 1000)
        told = []
        outcomes = self.make([bad, video], tmp_path / "out").run(told.append)
        assert told == outcomes
        assert [outcome.summary is None for outcome in outcomes] == [True, False]
        assert isinstance(outcomes[0].failure, StreamError)
        page = (tmp_path / "out/index.html").read_text()
        assert 'href="squares/report.html"' in page
        assert "<h1>2 videos</h1>" in page
        assert '<p class="failed">1 failed</p>' in page
        assert re.search(r'bad.mp4\s+<tr class="more"><td colspan="5" class="failed"><b>failed:</b> cannot open', page)

    def test_the_page_keeps_the_videos_of_earlier_calls(self, video, tmp_path):
        more = [write_squares(tmp_path / f"{name}.mp4", 3) for name in ("a", "Z", "b")]
        out = tmp_path / "out"
        batch = self.make([video, more[0]], out)
        batch.run(lambda outcome: None)
        assert batch.index == out / "index.html"
        (out / "other tool").mkdir()
        (out / "other tool/summary.json").write_text("{}")
        (out / "notes.txt").touch()
        self.make(more[1:2], out).run(lambda outcome: None)
        self.make([more[2]], out).run(lambda outcome: None)
        page = (out / "index.html").read_text()
        assert re.findall('href="([^"]+)/report.html"', page) == ["a", "b", "squares", "Z"]

    def test_one_video_needs_no_page(self, video, tmp_path):
        batch = self.make([video], tmp_path / "out")
        batch.run(lambda outcome: None)
        assert batch.index is None
        assert not (tmp_path / "out/index.html").exists()

    def test_a_page_of_somebody_else(self, video, tmp_path):
        page = tmp_path / "out/index.html"
        page.parent.mkdir()
        page.write_text("mine")
        with pytest.raises(ConfigError, match=r"index.html is not ours; it would be overwritten. Fix: another --out"):
            self.make([video, tmp_path / "b.mp4"], tmp_path / "out")
        self.make([video], tmp_path / "out").run(lambda outcome: None)
        assert page.read_text() == "mine"

    def test_a_fault_of_ours_does_not_stop_the_others(self, video, tmp_path, monkeypatch, caplog):
        draw = results.timeline_png

        def fail_once(summary, timelines):
            monkeypatch.setattr(results, "timeline_png", draw)
            raise ValueError("Double subscript")

        monkeypatch.setattr(results, "timeline_png", fail_once)
        other = write_squares(tmp_path / "other.mp4", 3)
        outcomes = self.make([video, other], tmp_path / "out").run(lambda outcome: None)
        assert [outcome.summary is None for outcome in outcomes] == [True, False]
        assert "squares.mp4: ValueError: Double subscript. Fix: report it as a bug" in str(outcomes[0].failure)
        assert "in fail_once" in caplog.text

    def test_one_folder_for_two(self, tmp_path):
        with pytest.raises(
            ConfigError, match=r"a/x.mp4 and .*b/x.avi would share the folder .*x. Fix: one --out for each"
        ):
            self.make([tmp_path / "a/x.mp4", tmp_path / "b/x.avi"], tmp_path / "out")

    @pytest.mark.parametrize("name", ["index.html.mkv", "Index.HTML.mkv", "..mkv", "...mp4", "/"])
    def test_a_name_that_no_folder_can_have(self, tmp_path, name):
        with pytest.raises(ConfigError, match=r"cannot analyze .*: its results would be in a folder .* Fix: rename it"):
            self.make([tmp_path / name], tmp_path / "out")

    @pytest.mark.parametrize(("name", "out"), [("bad\udcff.mkv", "out"), ("a.mkv", "bad\udcff")])
    def test_a_name_that_is_not_utf8(self, tmp_path, name, out):
        with pytest.raises(ConfigError, match=r"bad\\xff.*: the path is not UTF-8. Fix: rename it"):
            self.make([tmp_path / name], tmp_path / out)

    def test_a_video_that_the_analysis_of_another_would_overwrite(self, video, tmp_path):
        old = write_squares(tmp_path / "annotated.mp4", 3)
        (tmp_path / "out/squares").mkdir(parents=True)
        old = old.rename(tmp_path / "out/squares/annotated.mp4")
        with pytest.raises(
            ConfigError, match=r"annotated.mp4 would be overwritten: its analysis writes .* another --out"
        ):
            self.make([video, old], tmp_path / "out")

    def test_stop_before_the_first(self, video, tmp_path):
        batch = self.make([video], tmp_path / "out")
        batch.stop()
        assert batch.run(lambda outcome: None) == []
