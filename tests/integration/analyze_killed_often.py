"""Run as a script: one analysis, killed with SIGKILL at random moments and begun again.

Arguments: OUT, SEED, K, JOBS, KILLS, PART. A moment is the n-th call that Python makes in any thread, in its own code
or into C: so each line of the run can be hit, on a fast machine as on a slow one. Each life is a fork. With JOBS, the
parent of the worker processes dies at such a moment, and at an earlier one a worker of it. OUT/whole is the same
analysis in one process without any of that. OUT/num_kills says how often it died; it is KILLS or more. With PART 1,
samples of a range of the video are analyzed.
"""

import contextlib
import gc
import itertools
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from integration.analyze_jobs import Noted, make_batch
from integration.analyze_videos import make_analysis, write_squares
from plain_figures import draw_plainly

from fer_deploy.analyze.batch import VideoBatch
from fer_deploy.analyze.jobs.run import SplitRun

NUM_FRAMES = 8 * 24 + 7
PART = {"start": 1.0, "end": 7.0, "sample_fps": 8.0}
NUM_OF_PART = 6 * 8


class Calls:
    """Counts calls in all threads; kills where the count is reached, and calls `hurt` half-way to there."""

    def __init__(self, die_at: int | None = None, hurt: Callable[[], None] = lambda: None) -> None:
        self._numbers, self._die_at, self.hurt = itertools.count(1), die_at, hurt
        self.num = 0

    def __call__(self, frame: object, event: str, argument: object) -> None:
        if event not in ("call", "c_call"):
            return
        self.num = next(self._numbers)
        if self.num == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._die_at is not None and self.num == self._die_at // 2:
            self.hurt()


def live(video: Path, out: Path, settings: dict, jobs: int, calls: Calls) -> None:
    if jobs == 1:
        analysis = make_analysis(video, out, **settings)
        work = analysis.run
    else:
        batch = make_batch([video], out, jobs=jobs, progress=Noted(), **settings)
        calls.hurt = partial(kill_a_worker, batch)
        work = partial(batch.run, lambda outcome: None)
    threading.setprofile(calls)
    sys.setprofile(calls)
    found = work()
    sys.setprofile(None)
    assert found is not None
    assert jobs == 1 or found[0].failure is None, found[0].failure


def kill_a_worker(batch: VideoBatch) -> None:
    """Kill the first worker, if there is one at this moment: once in a life, so no task fails."""
    run = batch._current
    if isinstance(run, SplitRun) and (pids := run._crew.pids()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[0], signal.SIGKILL)


def in_fork(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as err:  # noqa: BLE001 - the fork's end
            sys.stderr.write(f"{type(err).__name__}: {err}\n")
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def count_calls(video: Path, out: Path, settings: dict, jobs: int) -> int:
    def work() -> None:
        calls = Calls()
        live(video, out, settings, jobs, calls)
        (out / "calls.json").write_text(json.dumps(calls.num))

    assert in_fork(work) == 0
    return json.loads((out / "calls.json").read_text())


def main(out: Path, seed: int, detect_every: int, jobs: int, min_kills: int, is_part: int) -> None:
    draw_plainly()  # the slowest part, since each call is counted
    settings = {"pipeline": {"detect_every": detect_every}} | (PART if is_part else {})
    video = write_squares(out / "squares.mp4", NUM_FRAMES)
    gc.freeze()  # else each segment's end searches everything that was imported
    num_calls = count_calls(video, out / "whole", settings, 1)
    if jobs > 1:
        (out / "counted").mkdir()
        num_calls = count_calls(video, out / "counted", settings, jobs)
    dice = random.Random(seed)
    for life in itertools.count():
        # The first lives end early, so that there are many; later ones reach as far as joining and reporting.
        limit = num_calls // 3 if life < min_kills else 2 * num_calls
        calls = Calls(die_at=dice.randrange(1, limit))
        code = in_fork(partial(live, video, out / "killed", settings, jobs, calls))
        if code == 0:
            break
        assert code == -signal.SIGKILL, code
    (out / "num_kills").write_text(str(life))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
