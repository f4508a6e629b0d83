"""A thousand damaged files through everything that opens files: each works, or is refused in words.

    FER_FUZZ_CASES=100000 FER_FUZZ_SEED=7 pytest tests/fuzz      a long run with files of its own

What is found gets a test of its own in `test_found_faults.py`.
"""

import os
import sys
from collections import defaultdict

import pytest
from fuzz.campaign import Campaign

NUM_CASES = int(os.environ.get("FER_FUZZ_CASES", "1000"))
SEED = int(os.environ.get("FER_FUZZ_SEED", "1"))
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits a process as Linux does, and reads its /proc")


@pytest.mark.slow
def test_damaged_files_are_refused_in_words():
    result = Campaign(SEED).run(0, NUM_CASES - 1)
    assert not result.faults, f"{len(result.faults)} faults; the first ones:\n\n" + "\n\n".join(result.faults[:10])
    assert result.num_cases == NUM_CASES
    answers = defaultdict(set)
    for kind, entry, answer in result.answers:
        answers[kind, entry].add(answer == "works")
    for (kind, entry), seen in answers.items():  # else the wounds are too small, or too deep, to test anything
        assert seen == {True, False} or (kind, entry) in NEVER_BOTH, f"{entry} gives one answer to every {kind}"


NEVER_BOTH = {
    ("manifest", "open_engine"),
    ("manifest", "inspect"),
    ("network_manifest", "open_network"),
    ("network_manifest", "inspect"),
}
"""A plan works on a GPU only; `inspect` tells what is wrong with a manifest instead of refusing it."""


def test_a_case_that_ends_its_worker_is_named_and_the_others_are_run():
    result = Campaign(3, worker="fuzz.doomed_worker").run(0, 4)
    assert [fault.splitlines()[0].partition("] ")[2] for fault in result.faults] == [
        "ended the worker: signal SIGSEGV",
        "(onnx): no memory",
        "ended the worker: signal SIGXCPU",
    ]
    again = "[python -m fuzz.doomed_worker --seed 3 --first 1 --last 1]"
    assert result.faults[0].startswith(f"seed 3 case 1 {again} ended")
    assert result.num_cases == 3


def test_a_worker_that_sleeps_is_ended():
    result = Campaign(3, worker="fuzz.doomed_worker", wall_s=6).run(4, 6)
    assert [fault.splitlines()[0].partition("] ")[2] for fault in result.faults] == ["ended the worker: silent for 6 s"]
    assert result.num_cases == 2
