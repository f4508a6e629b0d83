"""Open a session of ONNX Runtime on the requested provider, and verify the provider.

ONNX Runtime falls back to the CPU in three cases: at the creation of a session, for a node without a kernel, and after
a failed run. All three are disabled here. The ModelSpec is read in `engine`.
"""

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from fer_deploy.artifacts import read_model_file
from fer_deploy.engines.base import Device
from fer_deploy.engines.cpu_flags import adds_exactly
from fer_deploy.engines.onnx_file.outline import COPY_AGAIN, EXPORT_AGAIN, fault_of_onnx, fix_of
from fer_deploy.engines.onnx_file.trial import Trial, try_outside
from fer_deploy.engines.onnx_file.work import hidden_node, measure_work
from fer_deploy.engines.onnxruntime.device import PROVIDERS, choose_device
from fer_deploy.engines.onnxruntime.memory import bound_memory
from fer_deploy.engines.threads import choose_threads
from fer_deploy.errors import ArtifactError, EngineError, MissingDependencyError, argument
from fer_deploy.privacy import telemetry

telemetry.switch_off_in_process()

ORT_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.ModelLoaded,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    UnicodeDecodeError,
)
"""Errors of ONNX Runtime. UnicodeDecodeError is raised for an error text with a name that is not UTF-8."""
_REFUSED_CPU = "fallback to CPU EP has been explicitly disabled"
"""Part of ONNX Runtime's message if a node, or the whole graph, would have to run on the CPU."""
_TRIAL_BATCHES = (1, 2, 4)
_TRIAL_SIDE = 64
"""Value of each variable size of a network; a multiple of 32, which detectors need."""
_RTX_PLUGIN = "fer_deploy.engines.onnxruntime.rtx_plugin"


class SessionRequest(NamedTuple):
    """Options of a session.

    Attributes:
        device: "auto" is CUDA if this build of ONNX Runtime supports it and there is a GPU, else the CPU.
        threads: of the CPU provider; None: one for each core (see `threads`).
        cuda_graph: capture CUDA graphs; CUDA only.
        spinning: threads wait for the next call in a busy loop; CPU only.
        optimized: let ONNX Runtime optimize the graph.
        all_known: refuse a graph with unknown operators; see `onnx_file.work`.
        rewrite: converts the file's bytes after the first check; None: they are loaded unchanged.
        profile: start of the name of a file that gets the time of every node (`profile`); None: nothing is recorded.
    """

    device: Device = "auto"
    threads: int | None = None
    cuda_graph: bool = True
    spinning: bool = False
    optimized: bool = True
    all_known: bool = True
    rewrite: Callable[[bytes], bytes] | None = None
    profile: Path | None = None


class ProvedSession(NamedTuple):
    """A session, the device and provider that run all of its nodes, and its settings."""

    session: ort.InferenceSession
    device: str
    provider: str
    settings: dict[str, str]


def open_session(
    path: Path, request: SessionRequest, *, fix: str | None = None, content: bytes | None = None
) -> ProvedSession:
    """Check a graph, load the checked bytes, and verify the provider.

    Args:
        path: the file, for messages too.
        request: the options.
        fix: the fix for a damaged file; None: it is an emotion model, which can be exported again.
        content: the file's bytes; None: they are read.

    Raises:
        ArtifactError: not an ONNX model that this version reads, one that no export writes (`onnx_file.outline`), or
            one that needs too much arithmetic (`onnx_file.work`).
        ConfigError: more threads than cores.
        EngineError: this machine or build lacks the provider, it cannot run the whole graph, or the trial of a graph
            with unknown sizes did not end in time (`onnx_file.trial`).
        MissingDependencyError: the plugin of the tensorrt-rtx provider is not installed.
    """
    device = choose_device(request.device)
    provider = PROVIDERS[device]
    threads = choose_threads(request.threads) if device == "cpu" else 1  # a GPU session computes nothing on the CPU
    options = _session_options(device, threads, request)
    provider_options = _provider_options(device, request)
    content = read_model_file(path) if content is None else content
    fault = fault_of_onnx(content)
    if fault is not None:
        raise ArtifactError(f"cannot load {path}: {fault}. Fix: {fix or fix_of(fault)}")
    if request.rewrite is not None:
        content = request.rewrite(content)
    try:
        require_bounded(content, path, request, fix=fix or EXPORT_AGAIN)
        session = _make_session(content, options, provider, provider_options)
    except ORT_ERRORS as err:
        raise _explain(err, path, provider, fix or COPY_AGAIN) from err
    nodes = _prove(session, provider)
    settings = {
        "onnxruntime": ort.__version__,
        "provider": provider,
        **{f"provider.{name}": value for name, value in provider_options.items()},
        "threads": str(options.intra_op_num_threads),
        "execution": options.execution_mode.name,
        "graph_optimization": options.graph_optimization_level.name,
        "spinning": options.get_session_config_entry("session.intra_op.allow_spinning"),
        "nodes": "not recorded by this version" if nodes is None else f"{nodes} of {nodes} on {provider}",
    }
    return ProvedSession(session, device, provider, settings)


def require_bounded(content: bytes, path: Path, request: SessionRequest, *, fix: str = EXPORT_AGAIN) -> None:
    """Refuse a graph that takes too long. A graph with sizes unknown before it runs is tried in another process.

    Raises:
        ArtifactError: it needs too much arithmetic.
        EngineError: the trial did not end in time, or crashed.
        One of `ORT_ERRORS`: ONNX Runtime cannot read it.
    """
    work = measure_work(content, all_known=request.all_known)
    if work.fault is not None:
        raise ArtifactError(f"cannot load {path}: {work.fault}. Fix: {fix}")
    hidden = work.hidden if request.all_known else _hidden_in_network(content)
    if hidden is not None:
        sizes = _TRIAL_BATCHES if request.all_known else (_TRIAL_SIDE,)
        threads = request.threads if request.device in ("auto", "cpu") else None
        try_outside(Trial(content, path, hidden, sizes, threads, request.optimized), fix=fix)


def _hidden_in_network(content: bytes) -> str | None:
    try:
        return hidden_node(content, free_size=_TRIAL_SIDE)
    except ORT_ERRORS:
        return f"its input, which does not accept {_TRIAL_SIDE} pixels"


def cpu_session(content: bytes, request: SessionRequest) -> ProvedSession:
    """Load a graph on the CPU without checks, with the options and the memory limit of `open_session`."""
    provider = PROVIDERS["cpu"]
    options = _session_options("cpu", choose_threads(request.threads), request)
    return ProvedSession(_make_session(content, options, provider, {}), "cpu", provider, {})


def _session_options(device: str, threads: int, request: SessionRequest) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors are raised as exceptions; warnings would only clutter the terminal
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if request.optimized else level.ORT_DISABLE_ALL
    # Threads that spin between two calls would take cores from the detector.
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(request.spinning)))
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    # Without VNNI, INT8 products are added in 16 bits and overflow; this adds them exactly. With VNNI they are exact
    # anyway, and this would take two thirds of the speed. On ARM it is ignored.
    options.add_session_config_entry("session.x64quantprecision", str(int(not adds_exactly())))
    if request.profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(request.profile)
    if device == "cpu" and bound_memory() is not None:
        options.add_session_config_entry("session.use_env_allocators", "1")
    if device != "cpu":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


def _provider_options(device: str, request: SessionRequest) -> dict[str, str]:
    """Return options that differ from the provider's defaults; TF32 is off, so that FP32 graphs compute in FP32."""
    if device == "cuda":
        return {"device_id": "0", "enable_cuda_graph": str(int(request.cuda_graph)), "use_tf32": "0"}
    if device == "tensorrt":
        return {"device_id": "0", "trt_engine_cache_enable": "0"}  # a cached engine is unverified code
    return {}


def _make_session(
    content: bytes, options: ort.SessionOptions, provider: str, provider_options: dict[str, str]
) -> ort.InferenceSession:
    """Return the session; `enable_fallback` would recreate it on the CPU after an error in loading or running."""
    if provider != PROVIDERS["tensorrt-rtx"]:
        # Only this provider: adding the CPU would contradict disable_cpu_ep_fallback.
        providers: list[Any] = [(provider, provider_options) if provider_options else provider]
        return ort.InferenceSession(content, options, providers=providers, enable_fallback=False)
    try:
        plugin = import_module(_RTX_PLUGIN)
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"device tensorrt-rtx needs {err.name}, which is not installed. "
            "Fix: pip install onnxruntime-ep-nv-tensorrt-rtx, beside onnxruntime without -gpu"
        ) from err
    options.add_provider_for_devices(plugin.rtx_devices(), provider_options)
    return ort.InferenceSession(content, options, enable_fallback=False)


def _explain(err: Exception, path: Path, provider: str, fix: str) -> ArtifactError | EngineError:
    first = (str(err).splitlines() or [type(err).__name__])[0]
    first = (
        first if len(first) <= 300 else f"... {first[-300:]}"
    )  # it starts with the source line and ends with the cause
    if _REFUSED_CPU in str(err):
        return EngineError(
            f"{provider} cannot run all of {path}: it could not start, because this machine's CUDA, cuDNN or driver "
            "does not fit, or it lacks a kernel; see ONNX Runtime's message above. "
            f"Fix: {argument('device', 'cpu')} to run on the CPU, or install the CUDA version of onnxruntime-gpu"
        )
    return ArtifactError(
        f"cannot load {path}: not a model that ONNX Runtime {ort.__version__} reads; damaged, or of a newer opset "
        f"({first}). Fix: {fix}"
    )


def _prove(session: ort.InferenceSession, provider: str) -> int | None:
    """Return the number of nodes, all on `provider`; None if ONNX Runtime is too old to record it.

    Raises:
        EngineError: the session, or a node of it, is on another provider.
    """
    got = session.get_providers()[0]
    if got != provider:
        raise EngineError(
            f"asked ONNX Runtime for {provider} but got {got}; this machine's CUDA, cuDNN or driver does not fit. "
            f"Fix: {argument('device', 'cpu')} to run on the CPU, or install the CUDA version of onnxruntime-gpu"
        )
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    nodes = Counter({provider: 0})
    for part in session.get_provider_graph_assignment_info():
        nodes[part.ep_name] += len(part.get_nodes())
    if len(nodes) > 1:
        found = ", ".join(f"{count} nodes on {name}" for name, count in nodes.items())
        raise EngineError(
            f"asked ONNX Runtime for {provider} but got {found}. Fix: {argument('device', 'cpu')}, or export again"
        )
    return nodes[provider]
