"""Health: the state of the whole loop in one word, for a load balancer or a supervisor."""

from enum import StrEnum

from fer_deploy.live.stats import LiveSnapshot

STUCK_S = 30.0
"""After this time without a result the loop counts as stopped; a source's own watchdog is faster."""


class Health(StrEnum):
    """State of the loop: `DEGRADED` delivers some of the results, `FAILED` none."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


def health_of(snapshot: LiveSnapshot, silent_s: float) -> Health:
    """Return the state of the loop.

    Args:
        snapshot: current snapshot.
        silent_s: seconds since the last result, or since the start if there was none.
    """
    running = [source for source in snapshot.sources if source.health.state == "running"]
    if not running or silent_s > STUCK_S:
        return Health.FAILED
    lost = [  # a recording that has ended is done, a camera that has ended is lost
        source
        for source in snapshot.sources
        if source.health.state != "running" and not (source.may_end and source.health.state == "ended")
    ]
    if lost or any(sink.failure for sink in snapshot.sinks):
        return Health.DEGRADED
    return Health.OK
