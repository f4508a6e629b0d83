"""RayPlace: the commands of a sweep as tasks of a Ray cluster whose nodes share the folders of this machine.

Imported after `ray_cluster.connected` has set what Ray reads when it is imported.
"""

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import ray
from ray.exceptions import GetTimeoutError, RayError, TaskCancelledError

from fer_train import __version__
from fer_train.errors import FerTrainError
from fer_train.sweep import jobs, on_ray_node

_MOST_LOSSES: Final = 3
"""A command is started again so often after its node or its process was lost."""
_LOST: Final = 255
"""Exit code of a command whose process was lost too often."""


class _RayProcess:
    """A command on some node."""

    def __init__(self, ref: Any, log: Path) -> None:
        self._ref, self._log = ref, log
        self._code: int | None = None

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            try:
                code, why_not = ray.get(self._ref, timeout=timeout)
            except GetTimeoutError:
                raise subprocess.TimeoutExpired("fer-train", timeout or 0.0) from None
            except TaskCancelledError:
                code, why_not = 143, ""
            except RayError as err:
                code, why_not = _LOST, f"lost: {' '.join(str(err).split())[:400]}"
            if why_not:
                with self._log.open("a") as file:
                    file.write(f"{why_not}\n")
            self._code = int(code)
        return self._code

    def terminate(self) -> None:
        ray.cancel(self._ref, force=False)

    def kill(self) -> None:
        with suppress(RayError, ValueError):
            ray.cancel(self._ref, force=True)


class RayPlace:
    """The nodes of the cluster that this process is connected to."""

    def __init__(self, *, num_cpus: float, num_gpus: float, variables: dict[str, str]) -> None:
        """Set what each command asks for, and variables of its environment.

        Raises:
            FerTrainError: no node of the cluster has so much.
        """
        self._num_cpus, self._num_gpus, self._variables = num_cpus, num_gpus, variables
        if self._num_places() == 0:
            gpus = f" and {num_gpus:g} GPUs" if num_gpus else ""
            raise FerTrainError(
                f"no node of the cluster has {num_cpus:g} CPUs{gpus}, which a run asks for. Fix: --cpus-per-run or "
                "--gpus-per-run"
            )
        ray.cloudpickle.register_pickle_by_value(on_ray_node)
        self._task = ray.remote(on_ray_node.run).options(
            num_cpus=num_cpus, num_gpus=num_gpus, max_retries=_MOST_LOSSES, retry_exceptions=False
        )

    def _num_places(self) -> int:
        """Return how many commands fit into the nodes that the cluster has now."""
        num = 0
        for node in ray.nodes():
            has = node["Resources"]
            fit = [has.get("CPU", 0.0) / self._num_cpus]
            fit += [has.get("GPU", 0.0) / self._num_gpus] if self._num_gpus else []
            num += int(min(fit)) if node["Alive"] else 0
        return num

    def num_at_once(self, planned: int) -> int:
        """Return how many jobs the cluster has room for; nodes that join count."""
        return max(1, self._num_places())

    def start(self, words: Sequence[str], log: Path) -> _RayProcess:
        """Start a command on some node."""
        request = {
            "program": list(jobs.FER_TRAIN[1:]),
            "words": list(words),
            "log": str(log.absolute()),
            "folder": os.getcwd(),
            "version": __version__,
            "variables": self._variables | ({} if self._num_gpus else {"CUDA_VISIBLE_DEVICES": ""}),
        }
        return _RayProcess(self._task.remote(request), log)
