"""Shell: the actor. Ray sends its code to the nodes, so it starts even where fer-deploy is missing or another version.

It imports nothing of this package before the versions were compared.
"""

from typing import Any


class Shell:
    """A thin cover around `NodeWorker`."""

    def __init__(self, variables: dict[str, str]) -> None:
        """Set variables of the environment, before the libraries that read them are imported."""
        import os  # noqa: PLC0415 - the node's

        os.environ.update(variables)

    def hello(self) -> dict[str, str]:
        """Return names and versions of this node; `version` is empty if fer-deploy is not there."""
        import os  # noqa: PLC0415 - the node's
        import socket  # noqa: PLC0415

        import ray  # noqa: PLC0415

        try:
            from fer_deploy import __version__ as version  # noqa: PLC0415
        except ImportError:
            version = ""
        node = ray.get_runtime_context().get_node_id()
        return {"node": node, "host": socket.gethostname(), "pid": str(os.getpid()), "version": version}

    def open(self, job: bytes) -> tuple[str, bool]:
        """Open what the job needs; return why that cannot be done here, as text, and whether that may change."""
        import pickle  # noqa: PLC0415

        from fer_deploy.archive.on_ray.node_worker import NodeWorker  # noqa: PLC0415

        try:
            self._worker = NodeWorker(pickle.loads(job))
        except ImportError as err:  # of a recipe
            return str(err), False
        unfit = self._worker.open()
        return ("", False) if unfit is None else (unfit.why, unfit.passes)

    def compute(self, work: Any) -> Any:
        """Compute a segment."""
        return self._worker.compute(work)

    def heartbeat(self) -> tuple[int, int]:
        """Return the worker's signs of life; any thread may ask."""
        worker = getattr(self, "_worker", None)
        return (0, 0) if worker is None else worker.heartbeat()

    def leave(self) -> None:
        """Remove what is on the node's disk."""
        self._worker.leave()
