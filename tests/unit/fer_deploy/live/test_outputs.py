import re
import time

import av
import numpy as np
import pytest
from integration.live_fakes import ScriptedSource

from fer_deploy.live.config import OutputConfig
from fer_deploy.live.outputs import open_sinks
from fer_deploy.vision.types import Frame, FrameResult


@pytest.mark.parametrize(("is_live", "last_s"), [(True, 0.9), (False, 0.2)])
def test_video_of_a_recording_beside_another_source(tmp_path, is_live, last_s):
    """At ten frames a second, with most results between the second and the third dropped, as beside a camera."""
    sources = [ScriptedSource(1, is_live=is_live), ScriptedSource(10)]
    config = OutputConfig(record=tmp_path / "a.mp4", display=False)
    sinks = open_sinks(config, sources, (), snapshot=None, on_message=print)
    for index in (0, 1, 9):
        picture = np.full((48, 64, 3), index * 20, dtype=np.uint8)
        result = FrameResult(Frame(picture, index, index / 10, time.monotonic_ns(), source=1), ())
        for sink in sinks:
            sink.write(result, picture)
    for sink in sinks:
        sink.close()
    with av.open(str(tmp_path / "a-1.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([0, 0.1, last_s], abs=0.002)


def page_line(monkeypatch, **settings):
    """Return what `open_sinks` says about a page that other machines reach."""
    monkeypatch.setattr("fer_deploy.live.serve.server.is_loopback", lambda host: False)
    lines = []
    config = OutputConfig(display=False, serve="127.0.0.1:0", **settings)
    for sink in open_sinks(config, [ScriptedSource(1)], ("happy",), snapshot=None, on_message=lines.append):
        sink.close()
    assert len(lines) == 1
    return lines[0]


def test_a_generated_token_is_printed_with_the_page(monkeypatch):
    assert re.fullmatch(r"page: http://127\.0\.0\.1:\d+/\?token=[\w-]{24}", page_line(monkeypatch))


def test_a_token_of_the_users_own_is_never_printed(monkeypatch):
    line = page_line(monkeypatch, serve_token="horse-battery-staple")
    assert re.fullmatch(r"page: http://127\.0\.0\.1:\d+/ \(it asks for your token: add \?token=TOKEN\)", line)
