"""Health: one word on the whole loop, for a load balancer or a supervisor."""

from enum import StrEnum

from fer_deploy.live.stats import LiveSnapshot

STUCK_S = 30.0
"""Without a result for so long the loop counts as stopped; a source's own watchdog is faster."""


class Health(StrEnum):
    """`DEGRADED` still delivers, but not everything; `FAILED` delivers nothing."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


def judge(snapshot: LiveSnapshot, silent_s: float) -> Health:
    """Return how the loop is.

    Args:
        snapshot: of now.
        silent_s: seconds since the last result, or since the start where there was none.
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
