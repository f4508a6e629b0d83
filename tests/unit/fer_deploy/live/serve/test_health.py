from dataclasses import replace

import pytest
from unit.fer_deploy.live.serve.stage import make_snapshot

from fer_deploy.live.serve.health import STUCK_S, Health, health_of
from fer_deploy.live.sources import PacedSource
from fer_deploy.live.sources.base import Source


def mixed(*states: str, is_live=True):
    sources = [make_snapshot(state=state, is_live=is_live).sources[0] for state in states]
    return replace(make_snapshot(), sources=tuple(sources))


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("running",), Health.OK),
        (("running", "running"), Health.OK),
        (("running", "reconnecting"), Health.DEGRADED),
        (("connecting", "running"), Health.DEGRADED),
        (("running", "ended"), Health.DEGRADED),
        (("reconnecting",), Health.FAILED),
        (("reconnecting", "ended", "connecting"), Health.FAILED),
        ((), Health.FAILED),
    ],
)
def test_sources(states, expected):
    assert health_of(mixed(*states), silent_s=0.1) is expected


def test_a_recording_may_end():
    assert health_of(mixed("running", "ended", is_live=False), silent_s=0.1) is Health.OK
    assert health_of(mixed("ended", is_live=False), silent_s=0.1) is Health.FAILED


def test_so_may_one_that_is_played_like_a_camera():
    class Played(Source):
        is_live, fps = False, 10.0

        def frames(self):
            return iter(())

        def close(self):
            pass

    source = PacedSource(Played())
    assert (source.is_live, source.may_end) == (True, True)


def test_a_failed_output_degrades():
    assert health_of(make_snapshot(failure="disk full"), silent_s=0.1) is Health.DEGRADED


def test_a_loop_that_brings_nothing_has_failed():
    assert health_of(make_snapshot(), silent_s=STUCK_S) is Health.OK
    assert health_of(make_snapshot(), silent_s=STUCK_S + 0.1) is Health.FAILED
