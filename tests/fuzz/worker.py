"""Run as a script: cases FIRST to LAST, one line of JSON for each on stdout, in a process that may not take much.

    PYTHONPATH=.:tests python -m fuzz.worker --seed 1 --first 17 --last 17 --keep /tmp/case-17

`--keep` leaves the files of the last case in that folder.
"""

import argparse
import json
import os
import resource
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

CPU_SECONDS = 12
"""For one case; a slow one takes one."""
HEADROOM_BYTES = 3 * 2**29
"""Beyond what the process has when it is warm."""
NETWORK_BYTES, NETWORK_SECONDS = 2**28, 2.0
"""What a network may take of them, in place of the machine's memory and of a minute."""
Try = Callable[[int], dict[str, Any]]
"""Number of a case -> its report."""


def main(prepare: Callable[[int, Path, IO[str]], Try]) -> None:
    """Read the command line, let `prepare` warm up, limit the process, try each case.

    Args:
        prepare: given the seed, the folder for files and the stream of reports; returns what tries a case.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--last", type=int, required=True)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(os.dup(1), "w", buffering=1) as reports, tempfile.TemporaryDirectory() as scratch:
        os.dup2(2, 1)  # what libraries print is no report
        folder = arguments.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        try_case = prepare(arguments.seed, folder, reports)
        _limit_memory()
        for number in range(arguments.first, arguments.last + 1):
            _limit_time()
            print(json.dumps({"case": number} | try_case(number)), file=reports)


def prepare_corpus(seed: int, folder: Path, reports: IO[str]) -> Try:
    """Open every sound file, which also warms the libraries up, and report it."""
    from fuzz.cases import make_case, sound_cases  # noqa: PLC0415 - seconds, after the pipe is safe
    from fuzz.entry_points import try_file  # noqa: PLC0415
    from fuzz.seed_files import register_tiny  # noqa: PLC0415

    register_tiny()
    _limit_networks()
    _put_traps(folder)
    for index, case in enumerate(sound_cases()):
        outcome = try_file(case.kind, case.write(folder))
        print(json.dumps({"sound": index, "kind": case.kind} | vars(outcome)), file=reports)

    def try_case(number: int) -> dict[str, Any]:
        case = make_case(seed, number)
        return {"kind": case.kind} | vars(try_file(case.kind, case.write(folder)))

    return try_case


def _put_traps(folder: Path) -> None:
    """What external data may point to beside the model: a file, a link that leaves the folder, one that never ends."""
    (folder / "weights.bin").write_bytes(b"\x00" * 4096)
    if not (folder / "link.bin").is_symlink():
        (folder / "link.bin").symlink_to("/etc/passwd")
        os.mkfifo(folder / "fifo")


def _limit_networks() -> None:
    """Let a network have less than the process, to tell a refusal from a machine that is out of memory."""
    from fer_deploy.engines.onnxruntime import engine as onnxruntime  # noqa: PLC0415
    from fer_deploy.engines.onnxruntime import memory as onnxruntime_memory  # noqa: PLC0415

    onnxruntime.CPU_WARM_UP_LIMIT_S = NETWORK_SECONDS
    onnxruntime_memory.available_bytes = lambda: int(NETWORK_BYTES / onnxruntime_memory.SHARE)


def _limit_memory() -> None:
    lines = Path("/proc/self/status").read_text().splitlines()
    (taken,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (taken + HEADROOM_BYTES, resource.RLIM_INFINITY))


def _limit_time() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main(prepare_corpus)
