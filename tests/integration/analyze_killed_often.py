"""Run as a script: one analysis, killed with SIGKILL at random moments and begun again. Arguments: OUT, SEED, K.

A moment is the n-th call that Python makes in any thread, in its own code or into C: so each line of the run can be
hit, on a fast machine as on a slow one. Each life is a fork. OUT/whole is the same analysis without any of that.
OUT/num_kills says how often it died.
"""

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

from integration.analyze_videos import make_analysis, write_squares

NUM_FRAMES = 8 * 24 + 7
MIN_KILLS = 12


class Calls:
    """Counts calls in all threads; kills where the count is reached."""

    def __init__(self, die_at: int | None = None) -> None:
        self._numbers, self._die_at = itertools.count(1), die_at
        self.num = 0

    def __call__(self, frame: object, event: str, argument: object) -> None:
        if event in ("call", "c_call"):
            self.num = next(self._numbers)
            if self.num == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)


def live(video: Path, out: Path, detect_every: int, calls: Calls) -> None:
    analysis = make_analysis(video, out, pipeline={"detect_every": detect_every})
    threading.setprofile(calls)
    sys.setprofile(calls)
    summary = analysis.run()
    sys.setprofile(None)
    assert summary is not None


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


def count_calls(video: Path, out: Path, detect_every: int) -> int:
    def work() -> None:
        calls = Calls()
        live(video, out, detect_every, calls)
        (out / "calls.json").write_text(json.dumps(calls.num))

    assert in_fork(work) == 0
    return json.loads((out / "calls.json").read_text())


def main(out: Path, seed: int, detect_every: int) -> None:
    video = write_squares(out / "squares.mp4", NUM_FRAMES)
    num_calls = count_calls(video, out / "whole", detect_every)
    dice = random.Random(seed)
    for life in itertools.count():
        # The first lives end early, so that there are many; later ones reach as far as joining and reporting.
        limit = num_calls // 3 if life < MIN_KILLS else 2 * num_calls
        calls = Calls(die_at=dice.randrange(1, limit))
        code = in_fork(partial(live, video, out / "killed", detect_every, calls))
        if code == 0:
            break
        assert code == -signal.SIGKILL, code
    (out / "num_kills").write_text(str(life))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
