from pathlib import Path

import pytest

from fer_deploy.errors import EngineError, ReaderEndedError, SinkError
from fer_deploy.live.sinks.unfinished import KeptBeside
from fer_deploy.live.threads.failures import Failures

GONE, FULL, KEPT = ReaderEndedError("ended"), SinkError("a full disk"), KeptBeside(Path("a"), Path("b"), "rows")


@pytest.mark.parametrize(
    ("errors", "first"), [([GONE, FULL], FULL), ([KEPT, GONE], GONE), ([KEPT, GONE, FULL], FULL), ([GONE], GONE)]
)
def test_what_says_most_is_raised(errors, first):
    with pytest.raises(SinkError) as caught:
        Failures().raise_first(errors)
    assert caught.value is first


def test_a_failure_of_the_run_comes_before_those_of_outputs():
    failures = Failures()
    failures.note_fatal(EngineError("out of memory"))
    with pytest.raises(EngineError):
        failures.raise_first([FULL])
