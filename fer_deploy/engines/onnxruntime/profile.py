"""Time of every node in ONNX Runtime: its own profile, a JSON trace, cut into calls."""

import json
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from fer_deploy.engines.base import Device
from fer_deploy.engines.layer_profile import LayerProfile, LayerSample
from fer_deploy.engines.onnxruntime.session import ORT_ERRORS, SessionRequest, open_session
from fer_deploy.errors import EngineError
from fer_deploy.spec import OUTPUT_NAME

_KERNEL: Final = "_kernel_time"
_US_PER_MS: Final = 1e3


def profile_onnx(
    path: Path,
    images_nchw: NDArray[np.uint8],
    *,
    device: Device = "auto",
    threads: int | None = None,
    optimized: bool = True,
    warm_up: int = 3,
    calls: int = 20,
) -> LayerProfile:
    """Run a batch several times and return the time of each node.

    The profile itself costs time: some microseconds a node.

    Args:
        path: an .onnx file of an emotion model.
        images_nchw: (N, channels, height, width) uint8.
        device: as of `open_engine`.
        threads: of the CPU provider; None: every core.
        optimized: let ONNX Runtime optimize the graph, as `open_engine` does except for the INT8 graph for TensorRT.
        warm_up: calls before, which are left out.
        calls: calls that are kept.

    Raises:
        ArtifactError, ConfigError, MissingDependencyError: as of `open_engine`.
        EngineError: also if a call failed, or the profile lacks one.
    """
    with tempfile.TemporaryDirectory() as folder:
        request = SessionRequest(
            device, threads, cuda_graph=False, optimized=optimized, profile=Path(folder) / "profile"
        )
        opened = open_session(path, request)
        name = opened.session.get_inputs()[0].name
        try:
            for _ in range(warm_up + calls):
                opened.session.run([OUTPUT_NAME], {name: images_nchw})
        except ORT_ERRORS as err:
            raise EngineError(f"ONNX Runtime failed on a batch of {len(images_nchw)}: {err}") from err
        events = json.loads(Path(opened.session.end_profiling()).read_bytes())
    found, times = calls_of(events)
    if len(found) != warm_up + calls:
        raise EngineError(
            f"the profile of ONNX Runtime {ort.__version__} has {len(found)} calls, expected {warm_up + calls}. "
            "Fix: fewer calls, or another version"
        )
    description = f"ONNX Runtime {ort.__version__}, {opened.provider}"
    return LayerProfile(description, found[warm_up:], times[warm_up:])


def calls_of(events: list[dict[str, Any]]) -> tuple[list[list[LayerSample]], list[float]]:
    """Cut a trace into calls.

    Args:
        events: of ONNX Runtime's profile; times in microseconds.

    Returns:
        The nodes of each call in the order in which they ran, and the time of each call in milliseconds.
    """
    runs = sorted((event for event in events if event.get("name") == "model_run"), key=lambda event: event["ts"])
    nodes = [event for event in events if event.get("cat") == "Node" and event["name"].endswith(_KERNEL)]
    nodes.sort(key=lambda event: event["ts"])
    calls = [[_sample(node) for node in nodes if run["ts"] <= node["ts"] < run["ts"] + run["dur"]] for run in runs]
    return calls, [run["dur"] / _US_PER_MS for run in runs]


def _sample(node: dict[str, Any]) -> LayerSample:
    name, operator = node["name"].removesuffix(_KERNEL), str(node.get("args", {}).get("op_name", ""))
    return LayerSample(name or operator, operator, node["dur"] / _US_PER_MS)
