"""died: why a worker of a cluster was lost, as an error of this package."""

import re
from typing import Final

from ray.exceptions import OutOfMemoryError

from fer_deploy.analyze.jobs.crew import WorkerDied

_MEMORY: Final = re.compile("running low on memory|memory pressure", re.IGNORECASE)
_OUT_OF_MEMORY: Final = "killed by signal 9"
_MOST_LETTERS: Final = 400


def died(err: Exception, host: str) -> WorkerDied:
    """Return the failure of a segment whose worker died.

    Args:
        err: of Ray.
        host: name of the worker's machine.
    """
    text = " ".join(str(err).split())
    if isinstance(err, OutOfMemoryError) or _MEMORY.search(text):
        how = _OUT_OF_MEMORY
        why = "Ray ended it as memory was short. Fix: a larger --memory-per-worker, so that fewer share a node"
    else:
        how = "it died"
        why = f"Ray says: {text[:_MOST_LETTERS]}. Fix: a larger --memory-per-worker if the system killed it"
    return WorkerDied(f"a worker on {host} died: {why}", how)
