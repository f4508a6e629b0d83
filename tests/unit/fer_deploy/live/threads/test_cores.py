"""What the process shares while loops run."""

import sys

import cv2
import pytest

from fer_deploy.live.threads.cores import SWITCH_S, shared_cores


def now():
    return cv2.getNumThreads(), sys.getswitchinterval()


@pytest.fixture
def before():
    found = now()
    cv2.setNumThreads(2)
    sys.setswitchinterval(0.004)
    yield now()
    cv2.setNumThreads(found[0])
    sys.setswitchinterval(found[1])


def test_as_before_after_a_failure(before):
    def fail():
        with shared_cores(1):
            assert now() == (1, pytest.approx(SWITCH_S))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert now() == before


def test_the_first_of_two_loops_to_end_leaves_the_other_what_it_set(before):
    first, second = shared_cores(1), shared_cores(1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert now() == (1, pytest.approx(SWITCH_S))
    second.__exit__(None, None, None)
    assert now() == before
