"""A plan that is none: bytes with a manifest. Nothing here is deserialized, and no GPU is asked."""

import hashlib
from pathlib import Path

from fer_deploy.artifacts import bundled_model
from fer_deploy.engines import open_engine
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import (
    BatchProfile,
    PlanManifest,
    PlanTarget,
    PrecisionProof,
    manifest_json,
    manifest_path,
)


def write_plan(path: Path, *, flavor=Flavor.TENSORRT, profile=(1, 8, 32), content=b"no plan") -> Path:
    with open_engine(bundled_model(), device="cpu") as engine:
        spec = engine.spec
    low, opt, high = profile
    manifest = PlanManifest(
        plan_sha256=hashlib.sha256(content).hexdigest(),
        plan_bytes=len(content),
        flavor=flavor,
        version="10.13.2.6",
        spec=spec,
        profile=BatchProfile(min=low, opt=opt, max=high),
        source_onnx="net-fp32.onnx",
        target=PlanTarget(compute_capabilities=("8.6", "9.0"), os="linux", machine="x86_64"),
        precision_proof=PrecisionProof(layers={"Float": 3}, source="network"),
        source_onnx_sha256="0" * 64,
    )
    path.write_bytes(content)
    manifest_path(path).write_text(manifest_json(manifest))
    return path
