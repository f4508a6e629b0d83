"""Runs cases in worker processes; tells which case a worker died of and goes on behind it."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

REPO = Path(__file__).parents[2]
WALL_SECONDS = 120.0
"""Without a report: it sleeps. What computes is ended by the worker's own limit."""
MAX_DEATHS = 25
_NUM_LAST_CHARACTERS = 2_000


@dataclass
class Result:
    """`answers` counts (kind, entry point, answer); each fault names the case and the command that repeats it."""

    num_cases: int = 0
    faults: list[str] = field(default_factory=list)
    answers: Counter[tuple[str, str, str]] = field(default_factory=Counter)


class Campaign:
    """Cases of one seed, in one worker after the other."""

    def __init__(self, seed: int, *, worker: str = "fuzz.worker", wall_s: float = WALL_SECONDS) -> None:
        """Take the module that is the worker, and how long it may be silent."""
        self._seed, self._worker, self._wall_s = seed, worker, wall_s
        self._next = 0
        self.result = Result()

    def run(self, first: int, last: int) -> Result:
        """Run cases `first` to `last`, both included."""
        self._next, num_deaths = first, 0
        while self._next <= last:
            death = self._run_worker(last)
            if death is None:
                continue
            self.result.faults.append(f"{self._name(self._next)} ended the worker: {death}")
            self._next += 1
            num_deaths += 1
            if num_deaths == MAX_DEATHS:
                self.result.faults.append(f"{MAX_DEATHS} workers died; cases from {self._next} on were not run")
                break
        return self.result

    def _run_worker(self, last: int) -> str | None:
        """Run what is left; return what ended it before the last case, or None."""
        environment = os.environ | {
            "PYTHONPATH": f"{REPO}{os.pathsep}{REPO / 'tests'}",
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "PYTHONFAULTHANDLER": "1",
            "MALLOC_ARENA_MAX": "1",
        }
        command = [sys.executable, "-m", self._worker]
        command += [f"--seed={self._seed}", f"--first={self._next}", f"--last={last}"]
        with tempfile.TemporaryFile("w+", errors="replace") as errors:
            worker = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=REPO
            )
            was_silent = self._follow(worker)
            code = worker.wait()
            if self._next > last and code == 0:
                return None
            errors.seek(0)
            end = errors.read()[-_NUM_LAST_CHARACTERS:]
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{f'silent for {self._wall_s:g} s' if was_silent else how}\n{end}"

    def _follow(self, worker: subprocess.Popen[str]) -> bool:
        """Take reports until there are no more; return whether the worker had to be killed for its silence."""
        assert worker.stdout is not None
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        reader = threading.Thread(target=_pump, args=(worker.stdout, lines))
        reader.start()
        was_silent = False
        while True:
            try:
                line = lines.get(timeout=self._wall_s)
            except queue.Empty:
                worker.kill()
                was_silent = True
                continue
            if not line:
                break
            self._take(json.loads(line))
        reader.join()
        worker.stdout.close()
        return was_silent

    def _take(self, report: dict[str, Any]) -> None:
        if "sound" in report:
            refused = {name: answer for name, answer in report["answers"].items() if answer != "works"}
            if refused and not report["kind"].endswith("manifest"):  # a plan needs a GPU to work
                self.result.faults.append(f"the sound {report['kind']} {report['sound']} is refused: {report}")
            return
        self._next = report["case"] + 1
        self.result.num_cases += 1
        name = self._name(report["case"])
        self.result.faults += [f"{name} ({report['kind']}): {fault}" for fault in report["faults"]]
        self.result.answers.update((report["kind"], entry, answer) for entry, answer in report["answers"].items())

    def _name(self, number: int) -> str:
        command = f"python -m {self._worker} --seed {self._seed} --first {number} --last {number}"
        return f"seed {self._seed} case {number} [{command}]"


def _pump(reports: IO[str], lines: "queue.SimpleQueue[str]") -> None:
    """Hand lines on; an empty one is the end."""
    for line in reports:
        lines.put(line)
    lines.put("")
