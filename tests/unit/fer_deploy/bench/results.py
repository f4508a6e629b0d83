"""Results of candidates that nobody measured."""

import hashlib
from pathlib import Path

from fer_deploy.bench.candidates import Candidate
from fer_deploy.bench.folder import Artifact
from fer_deploy.bench.ranking import Drop, Result
from fer_deploy.bench.scenarios import Offline
from fer_deploy.bench.windows import Measurement, Window
from fer_deploy.engines.fake import FAKE_SPEC
from fer_deploy.spec import Precision

KINDS = {"fp32": Precision.FP32, "fp16": Precision.FP16, "int8": Precision.INT8, "int8-cpu": Precision.INT8}


def measurement(latency_ms: float, per_s: float, *, p99_ms: float | None = None, is_stable: bool = True) -> Measurement:
    """Three windows of a hundred calls; the last two of each take `p99_ms`."""
    latencies = (latency_ms,) * 98 + (p99_ms or latency_ms,) * 2
    window = Window(latencies, 100 / per_s, 50 / per_s, 100)
    return Measurement((window,) * 3, is_stable)


def artifact(kind: str, *, num_bytes: int = 1000, metrics: dict | None = None) -> Artifact:
    path = Path(f"net-{kind}.{'plan' if kind == 'plan' else 'onnx'}")
    found = {} if metrics is None else {"artifact": metrics}
    spec = FAKE_SPEC.model_copy(update={"precision": KINDS.get(kind, Precision.FP16), "metrics": found})
    return Artifact(path, num_bytes, hashlib.sha256(kind.encode()).hexdigest(), spec, kind)


def result(
    kind: str,
    ms: float,
    *,
    threads=1,
    spinning=False,
    runtime="onnxruntime-cpu",
    drop=0.0,
    p99_ms=None,
    by_batch=None,
    num_bytes=1000,
    is_stable=True,
) -> Result:
    single = measurement(ms, 1e3 / ms, p99_ms=p99_ms, is_stable=is_stable)
    batches = by_batch or {1: single}
    best = max(batches, key=lambda batch: batches[batch].per_s)
    of = artifact(kind, num_bytes=num_bytes)
    candidate = Candidate(of.path, runtime, threads, spinning)
    return Result(candidate, of, Drop(drop, False, "its export measured it"), single, Offline(batches, best))
