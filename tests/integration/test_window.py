"""A real window on a virtual screen. In a process of its own: a toolkit that fails takes its process along."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

GUARD_S = 30

pytestmark = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="no Xvfb or no xdotool here"
)

# VideoSink brings PyAV, whose libraries hang OpenCV's windows if they are loaded first.
PROGRAM = """
import sys
import numpy as np
from fer_deploy.live.sinks import VideoSink, WindowSink
from fer_deploy.vision.types import Frame, FrameResult

num_sources = int(sys.argv[1])
picture = np.full((120, 160, 3), 90, dtype=np.uint8)
picture.flags.writeable = False
with WindowSink("fer under test", is_live=True, num_sources=num_sources) as sink:
    assert sink.idle()
    for index in range(4):
        assert sink.write(FrameResult(Frame(picture, index, index / 10, 0, "", index % num_sources), ()), picture)
    print("shown", flush=True)
    while sink.idle():
        pass
print("ended", flush=True)
"""


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    read_end, write_end = os.pipe()
    command = ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL)
    os.close(write_end)
    try:
        with open(read_end) as said:
            yield f":{said.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def control(screen: str, *arguments: str) -> str:
    environment = {**os.environ, "DISPLAY": screen}
    done = subprocess.run(
        ["xdotool", *arguments], env=environment, capture_output=True, text=True, timeout=GUARD_S, check=True
    )
    return done.stdout


@pytest.mark.parametrize(("num_sources", "size"), [(1, "160x120"), (2, "320x120")])
@pytest.mark.parametrize("key", ["q", "Escape"])
def test_ends_while_no_frame_comes(screen, num_sources, size, key):
    environment = {**os.environ, "DISPLAY": screen, "QT_LOGGING_RULES": "*=false"}
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(num_sources)], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "shown\n"
        window = control(screen, "search", "--sync", "--onlyvisible", "--name", "fer under test").split()[0]
        assert f"Geometry: {size}" in control(screen, "getwindowgeometry", window)
        control(screen, "windowfocus", "--sync", window)
        control(screen, "key", key)
        rest, _ = program.communicate(timeout=GUARD_S)
        assert (program.returncode, rest) == (0, "ended\n")
    finally:
        program.kill()
        program.wait()
