"""Signals at random moments, from the first line of main on, once and twice: the documented code, nothing left over."""

import fcntl
import json
import os
import pty
import random
import signal
import subprocess
import sys
import termios
from itertools import cycle
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from integration import signalled_at
from integration.analyze_videos import write_squares
from integration.live_fakes import num_video_frames
from integration.source_watching import wait_until

NUM_KILLS = int(os.environ.get("FER_KILLS", "4"))
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN = (0, 1, 100, 5000)
"""Calls between the first signal and the second; 0: there is no second one."""
LIMIT_S = 300
TESTS = Path(signalled_at.__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "OMP_NUM_THREADS": "1"}
OUTPUTS = ("--record", "a.mp4", "--csv", "a.csv", "--parquet", "a.parquet", "--jsonl", "a.jsonl")
WHOLE = ["a.csv", "a.frames.csv", "a.frames.parquet", "a.jsonl", "a.parquet"]


def life(package, folder, number, at, again, *arguments):
    """Run a program that gets the signal at its n-th call; return how it ended."""
    program = [sys.executable, signalled_at.__file__, package, str(int(number)), str(at), str(again)]
    return subprocess.run(
        [*program, *map(str, arguments)],
        cwd=folder,
        env={**ENVIRONMENT, "CALLS": str(folder.parent / "calls")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def kills(seed, first, last):
    """Yield the folder's name, the signal, its moment and the distance of the second one, for each life."""
    dice, numbers, again = random.Random(seed), cycle(NUMBERS), cycle(AGAIN)
    for n in range(NUM_KILLS):
        yield f"life-{n}", next(numbers), dice.randrange(first, last), next(again)


def check_words(done):
    for word in ("Traceback", "Aborted!", "ignored in"):
        assert word not in done.stderr, done.stderr


def check_outputs(folder, done):
    """Either nothing was opened, or all outputs are whole and agree."""
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        assert "ended before the first frame" in done.stderr
        return 0
    num = (folder / "a.jsonl").read_text().count("\n")
    assert names == sorted([*WHOLE, *(["a.mp4"] if num else [])])
    lines = [json.loads(line)["frame"] for line in (folder / "a.jsonl").read_text().splitlines()]
    assert lines == list(range(num))
    assert (folder / "a.frames.csv").read_text().count("\n") == num + 1
    assert pq.read_table(folder / "a.frames.parquet").num_rows == num
    assert num == 0 or num_video_frames(folder / "a.mp4") == num
    return num


@pytest.mark.slow
@pytest.mark.parametrize("part", ["anywhere", "late"])
def test_live(tmp_path, part):
    video = write_squares(tmp_path / "squares.mp4", 24)
    command = ("live", "--no-display", "--detector", "haar", "--source", video, *OUTPUTS)
    (tmp_path / "whole").mkdir()
    done = life("fer_deploy", tmp_path / "whole", 0, 0, 0, *command)
    assert (done.returncode, check_outputs(tmp_path / "whole", done)) == (0, 24), done.stderr
    num_calls = int((tmp_path / "calls").read_text())
    first = 1 if part == "anywhere" else num_calls * 4 // 5
    for name, number, at, again in kills(part, first, num_calls):
        (tmp_path / name).mkdir()
        done = life("fer_deploy", tmp_path / name, number, at, again, *command)
        assert done.returncode == 0, (number, at, again, done.stderr)
        check_words(done)
        check_outputs(tmp_path / name, done)


@pytest.mark.slow
def test_analyze(tmp_path):
    video = write_squares(tmp_path / "squares.mp4", 48)
    command = ("analyze", "--detector", "haar", "--segment-frames", 12, "--out", "out", video)
    (tmp_path / "whole").mkdir()
    done = life("fer_deploy", tmp_path / "whole", 0, 0, 0, *command)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "whole/out/squares").iterdir())
    num_calls = int((tmp_path / "calls").read_text())
    folder = tmp_path / "killed"
    folder.mkdir()
    for _, number, at, again in kills("analyze", 1, num_calls):
        done = life("fer_deploy", folder, number, at, again, *command)
        assert done.returncode in (0, 128 + number), (number, at, again, done.stderr)
        check_words(done)
    done = life("fer_deploy", folder, 0, 0, 0, *command)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (folder / "out/squares").iterdir()) == names
    csv = "out/squares/faces.csv"
    assert (folder / csv).read_bytes() == (tmp_path / "whole" / csv).read_bytes()


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("at", [100, 1000, 30_000])
@pytest.mark.parametrize(("package", "command"), [("fer_train", "train"), ("fer_deploy", "analyze")])
def test_while_the_program_is_loaded(tmp_path, package, command, at, number):
    (tmp_path / "run").mkdir()
    done = life(package, tmp_path / "run", number, at, 0, command, "--help")
    assert done.returncode == 128 + number
    assert done.stderr == ("stopped\n" if number == signal.SIGINT else f"stopped by {number.name}\n")
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_terminal_that_is_closed(tmp_path, times):
    """SIGHUP comes from the system, and each write to the terminal fails from then on."""
    command = ["live", "--no-display", "--source", "synthetic", "--detector", "haar", *OUTPUTS]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, [sys.executable, "-m", "fer_deploy", *command], ENVIRONMENT)
    lines = tmp_path / "a.jsonl"
    try:
        wait_until(lambda: lines.exists() and lines.read_text().count("\n") > 3)
    finally:
        os.close(terminal)
        if times == 2:
            os.kill(pid, signal.SIGHUP)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    num = lines.read_text().count("\n")
    assert num_video_frames(tmp_path / "a.mp4") == num == pq.read_table(tmp_path / "a.frames.parquet").num_rows
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*WHOLE, "a.mp4"])


def test_nohup(tmp_path):
    """A SIGHUP that is ignored stays ignored."""
    command = ["live", "--no-display", "--source", "synthetic", "--detector", "haar", "--jsonl", "a.jsonl"]
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-m", "fer_deploy", *command],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = tmp_path / "a.jsonl"
    try:
        wait_until(lambda: lines.exists() and lines.read_text().count("\n") > 3)
        process.send_signal(signal.SIGHUP)
        num = lines.read_text().count("\n")
        wait_until(lambda: lines.read_text().count("\n") > num + 10)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    assert process.returncode == 0, stderr


def test_a_third_signal_ends_the_program_where_it_is(tmp_path):
    """For whoever cannot wait: an output that hangs, such as a pipe that nobody reads."""
    reading, writing = os.pipe()
    size = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    process = subprocess.Popen(
        [sys.executable, "-m", "fer_deploy", "live", "--no-display", "--source", "synthetic", "--jsonl", "-"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    try:
        wait_until(lambda: _num_waiting(reading) > size // 2 or process.poll() is not None)
        # Python counts equal signals once until its handler runs. Different ones run in the order of their numbers.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
            wait_until(lambda: _is_handled(process))
        process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
        os.close(reading)
    assert process.returncode == 128 + signal.SIGTERM


def _num_waiting(handle) -> int:
    return int.from_bytes(fcntl.ioctl(handle, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def _is_handled(process) -> bool:
    """Whether no signal is pending; two that wait at once would count as one."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:
        return True
    pending = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
    return process.poll() is not None or not any(pending)
