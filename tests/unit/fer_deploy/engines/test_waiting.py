"""Calls that wait end when their run ends, and only those of its threads."""

import threading

import pytest

from fer_deploy.engines.waiting import GivenUp, require_wanted, waiting_until
from fer_deploy.errors import EngineError


def test_a_run_that_ended():
    given_up = threading.Event()
    with waiting_until(given_up):
        require_wanted("a server")
        given_up.set()
        with pytest.raises(GivenUp, match="the run ended while it waited for a server"):
            require_wanted("a server")
    require_wanted("a server")  # another run of this thread
    assert issubclass(GivenUp, EngineError)


def test_threads_of_other_runs_go_on():
    given_up, others = threading.Event(), []
    given_up.set()
    with waiting_until(given_up):
        thread = threading.Thread(target=lambda: others.append(require_wanted("a server")))
        thread.start()
        thread.join()
    assert others == [None]
