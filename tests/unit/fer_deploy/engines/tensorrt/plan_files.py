"""Bytes that claim to be a plan, with a manifest; only a simulated TensorRT loads them."""

import hashlib
from pathlib import Path

from fer_deploy.engines.fake import FAKE_SPEC
from fer_deploy.manifest import PlanManifest, manifest_json, manifest_path

CONTENT = b"ftrt, and then what only TensorRT reads"


def manifest_of(content: bytes = CONTENT, **changes) -> PlanManifest:
    """Manifest of a plan for a simulated RTX 3090 under TensorRT 11.4; `changes` replace fields, `target` is merged."""
    target = {
        "compute_capabilities": ["8.6"],
        "os": "linux",
        "machine": "x86_64",
        "gpu": "Simulated 3090",
    } | changes.pop("target", {})
    fields = {
        "plan_sha256": hashlib.sha256(content).hexdigest(),
        "plan_bytes": len(content),
        "flavor": "tensorrt",
        "version": "11.4.0.106",
        "spec": FAKE_SPEC,
        "profile": {"min": 1, "opt": 4, "max": 64},
        "precision_proof": {"layers": {"Float": 3}, "source": "network"},
        "source_onnx": "net-int8.onnx",
        "source_onnx_sha256": "0" * 64,
    }
    return PlanManifest.model_validate({**fields, "target": target, **changes})


def rtx_manifest(**changes) -> PlanManifest:
    """The same, built by TensorRT for RTX 1.7."""
    return manifest_of(**{"flavor": "tensorrt_rtx", "version": "1.7.1.116", **changes})


def write_plan(folder: Path, *, content: bytes = CONTENT, manifest: PlanManifest | None = None) -> Path:
    """Write `net-int8.plan` and its manifest; without one given, the one that fits."""
    path = folder / "net-int8.plan"
    path.write_bytes(content)
    manifest_path(path).write_text(manifest_json(manifest or manifest_of(content)))
    return path
