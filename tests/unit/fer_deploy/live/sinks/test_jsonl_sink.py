import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from integration.full_disk import file_size_limit

from fer_deploy.errors import SinkError
from fer_deploy.live.sinks import JsonlSink
from fer_deploy.live.sinks.whole_lines import WholeLines

_ENDLESS = """
import sys
from pathlib import Path
import numpy as np
from fer_deploy.live.sinks import JsonlSink
from fer_deploy.vision.types import Frame, FrameResult

sink = JsonlSink(Path(sys.argv[1]))
index = 0
while True:
    sink.write(FrameResult(Frame(np.zeros((2, 2, 3), np.uint8), index, index / 10, 0), ()), None)
    index += 1
    if index == 300:
        print("300", flush=True)
"""


class TestJsonlSink:
    def test_one_object_a_line_flushed_at_once(self, tmp_path, make_result):
        path = tmp_path / "deep" / "a.jsonl"
        with JsonlSink(path) as sink:
            assert sink.needs_picture is False
            for index in range(3):
                assert sink.write(make_result(index), None) is True
                assert len(path.read_text().splitlines()) == index + 1, "can be followed while it grows"
        assert json.loads(path.read_text().splitlines()[1]) == {
            "frame": 1,
            "time_s": 0.1,
            "faces": [
                {
                    "track": 1,
                    "person": 1,
                    "box_xyxy": [10, 30, 60, 80],
                    "score": 0.875,
                    "detected": True,
                    "emotion": "bright",
                    "confidence": 0.75,
                    "probs": {"dark": 0.25, "bright": 0.75},
                    "smoothed": {
                        "emotion": "bright",
                        "confidence": 0.625,
                        "probs": {"dark": 0.375, "bright": 0.625},
                        "sure": True,
                    },
                    "shown": "bright",
                    "quality": None,
                }
            ],
        }

    def test_name_of_a_picture(self, tmp_path, make_result):
        with JsonlSink(tmp_path / "a.jsonl") as sink:
            sink.write(make_result(name="ä.png", boxes=()), None)
        line = json.loads((tmp_path / "a.jsonl").read_text())
        assert line == {"frame": 0, "time_s": 0.0, "name": "ä.png", "faces": []}

    def test_several_sources_are_told_apart(self, tmp_path, make_result):
        with JsonlSink(tmp_path / "a.jsonl", num_sources=2) as sink:
            sink.write(make_result(source=1, boxes=()), None)
        assert json.loads((tmp_path / "a.jsonl").read_text()) == {"frame": 0, "time_s": 0.0, "source": 1, "faces": []}

    def test_unsure_and_predicted_faces_say_so(self, tmp_path, make_result):
        with JsonlSink(tmp_path / "a.jsonl") as sink:
            sink.write(make_result(is_sure=False, is_detected=False), None)
        (face,) = json.loads((tmp_path / "a.jsonl").read_text())["faces"]
        assert (face["detected"], face["smoothed"]["sure"]) == (False, False)

    def test_an_older_file_is_replaced_when_the_lines_are_whole(self, tmp_path, make_result):
        path = tmp_path / "a.jsonl"
        path.write_text("old\n")
        with JsonlSink(path) as sink:
            sink.write(make_result(boxes=()), None)
            assert path.read_text() == "old\n"
            (part,) = tmp_path.glob("a.*.part.jsonl")
            assert part.read_text() == '{"frame":0,"time_s":0.0,"faces":[]}\n', "can be followed while it grows"
        assert path.read_text() == '{"frame":0,"time_s":0.0,"faces":[]}\n'
        assert (sink.files, list(tmp_path.iterdir())) == ((path,), [path])

    def test_an_older_file_stays_where_no_line_comes(self, tmp_path):
        (tmp_path / "a.jsonl").write_text("old\n")
        with JsonlSink(tmp_path / "a.jsonl") as sink:
            pass
        assert sink.files == ()
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.jsonl", "old\n")]

    @pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), MemoryError(), KeyboardInterrupt()])
    def test_an_older_file_stays_where_lines_are_missing(self, tmp_path, make_result, monkeypatch, failure):
        path = tmp_path / "a.jsonl"
        path.write_text("old\n")
        sink = JsonlSink(path)
        sink.write(make_result(boxes=()), None)

        class Failing:
            def __init__(self, file) -> None:
                self._file = file

            def write(self, data) -> int:
                raise failure

            def __getattr__(self, name):
                return getattr(self._file, name)

        lines = sink._lines._lines
        lines._file = Failing(lines._file)
        with pytest.raises((SinkError, type(failure))):
            sink.write(make_result(1, boxes=()), None)
        with pytest.raises(SinkError, match=r"a\.jsonl is unchanged; .*a\.\d+\.part\.jsonl has the lines up to the fa"):
            sink.close()
        (part,) = tmp_path.glob("a.*.part.jsonl")
        assert part.read_text() == '{"frame":0,"time_s":0.0,"faces":[]}\n'
        assert path.read_text() == "old\n"

    def test_a_block_that_fails_leaves_an_older_file_alone_and_raises_what_it_raised(self, tmp_path, make_result):
        path = tmp_path / "a.jsonl"
        path.write_text("old\n")

        def fail() -> None:
            with JsonlSink(path) as sink:
                sink.write(make_result(boxes=()), None)
                raise ValueError("of the caller")

        with pytest.raises(ValueError, match="of the caller"):
            fail()
        assert path.read_text() == "old\n"
        (part,) = tmp_path.glob("a.*.part.jsonl")
        assert part.read_text() == '{"frame":0,"time_s":0.0,"faces":[]}\n'

    def test_a_full_disk_leaves_an_older_file_alone(self, tmp_path, make_result):
        path = tmp_path / "a.jsonl"
        path.write_text("old\n")
        sink = JsonlSink(path)
        with file_size_limit(100), pytest.raises(SinkError, match=r"cannot write .*\.part\.jsonl: File too large"):
            _ = [sink.write(make_result(index, boxes=()), None) for index in range(10)]
        with pytest.raises(SinkError, match=r"a\.jsonl is unchanged"):
            sink.close()
        (part,) = tmp_path.glob("a.*.part.jsonl")
        assert [json.loads(line)["frame"] for line in part.read_text().splitlines()] == [0, 1]
        assert path.read_text() == "old\n"

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
    def test_a_killed_run_leaves_an_older_file_alone(self, tmp_path, number):
        path = tmp_path / "a.jsonl"
        path.write_text("old\n")
        with subprocess.Popen([sys.executable, "-c", _ENDLESS, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"300\n"
            process.send_signal(number)
            assert process.wait() == -number
        lines = (tmp_path / f"a.{process.pid}.part.jsonl").read_text().splitlines()
        assert [json.loads(line)["frame"] for line in lines] == list(range(len(lines)))
        assert len(lines) >= 300
        assert path.read_text() == "old\n"

    def test_a_link_to_an_older_file_stays_one(self, tmp_path, make_result):
        (tmp_path / "disk").mkdir()
        (tmp_path / "disk/a.jsonl").write_text("old\n")
        (tmp_path / "b.jsonl").symlink_to("disk/a.jsonl")
        with JsonlSink(tmp_path / "b.jsonl") as sink:
            sink.write(make_result(boxes=()), None)
        assert (tmp_path / "b.jsonl").is_symlink()
        assert (tmp_path / "disk/a.jsonl").read_text().startswith('{"frame":0')

    def test_a_file_name_that_is_no_utf_8_is_escaped(self, tmp_path, make_result):
        with JsonlSink(tmp_path / "a.jsonl") as sink:
            sink.write(make_result(name="caf\udce9.png", boxes=()), None)
        assert json.loads((tmp_path / "a.jsonl").read_text())["name"] == "caf\\xe9.png"

    def test_cannot_be_opened(self, tmp_path):
        with pytest.raises(SinkError, match=r"cannot write .*: Is a directory\. Fix: another --jsonl"):
            JsonlSink(tmp_path)

    def test_its_file_is_told_once_it_is_whole(self, tmp_path):
        sink = JsonlSink(tmp_path / "a.jsonl")
        assert sink.files == ()
        sink.close()
        assert sink.files == (tmp_path / "a.jsonl",)

    def test_standard_output(self, tmp_path, make_result, capfd, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with JsonlSink(Path("-")) as sink:
            sink.write(make_result(boxes=()), None)
        assert (capfd.readouterr().out, sink.files) == ('{"frame":0,"time_s":0.0,"faces":[]}\n', ())
        assert list(tmp_path.iterdir()) == []

    def test_disk_full(self, make_result):
        sink = JsonlSink(Path("/dev/full"))
        with pytest.raises(
            SinkError, match=r"cannot write /dev/full: No space left on device\. The lines before are complete"
        ):
            sink.write(make_result(), None)
        sink.close()


class TestWholeLines:
    def test_what_is_no_utf_8_is_escaped_and_fails_nothing(self, tmp_path):
        lines = WholeLines(tmp_path / "a.txt", fix="another --csv")
        lines.append("caf\udce9,ä\n")
        lines.close()
        assert (tmp_path / "a.txt").read_text("utf-8") == "caf\\udce9,ä\n"
        assert not lines.has_failed

    def test_a_write_that_fails_half_way_leaves_no_half_line(self, tmp_path, monkeypatch):
        lines = WholeLines(tmp_path / "a.txt", fix="another --jsonl")
        lines.append("first\n")

        class Half:
            """A disk with room for three more bytes."""

            def __init__(self, file) -> None:
                self._file, self._room = file, 3

            def write(self, data) -> int:
                if self._room == 0:
                    raise OSError(28, "No space left on device")
                self._room = 0
                return self._file.write(data[:3])

            def fileno(self) -> int:
                return self._file.fileno()

        monkeypatch.setattr(lines, "_file", Half(lines._file))
        with pytest.raises(SinkError, match=r"No space left on device\. .*Fix: free some space, or another --jsonl"):
            lines.append("second\n")
        assert (tmp_path / "a.txt").read_text() == "first\n"
        monkeypatch.undo()
        lines.close()

    def test_a_full_pipe_that_does_not_block_is_waited_for(self, tmp_path, monkeypatch):
        os.mkfifo(tmp_path / "pipe")
        got, may_read = [], threading.Event()

        def read() -> None:
            with (tmp_path / "pipe").open("rb") as pipe:
                may_read.wait()
                got.append(pipe.read())

        class Watched:
            def __init__(self, file) -> None:
                self._file, self.num_refused = file, 0

            def write(self, data) -> int | None:
                written = self._file.write(data)
                self.num_refused += written is None
                return written

            def fileno(self) -> int:
                return self._file.fileno()

            def close(self) -> None:
                self._file.close()

        poll, num_waits = select.poll, []

        def watched_poll() -> select.poll:
            num_waits.append(1)
            may_read.set()
            return poll()

        monkeypatch.setattr(select, "poll", watched_poll)
        reader = threading.Thread(target=read)
        reader.start()
        lines = WholeLines(tmp_path / "pipe", fix="another --jsonl")
        os.set_blocking(lines._file.fileno(), False)
        lines._file = watched = Watched(lines._file)
        guard = threading.Timer(5, may_read.set)  # without a wait nobody would ever read
        guard.start()
        lines.append("x" * 300_000 + "\n")
        guard.cancel()
        lines.close()
        reader.join()
        assert got == [b"x" * 300_000 + b"\n"]
        assert watched.num_refused == len(num_waits) >= 1

    def test_lines_longer_than_a_pipe_takes_at_once(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        got = []
        reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
        reader.start()
        lines = WholeLines(tmp_path / "pipe", fix="another --jsonl")
        lines.append("x" * 1_000_000 + "\n")
        lines.close()
        reader.join()
        assert got == [b"x" * 1_000_000 + b"\n"]
