"""A folder as fer-deploy export writes it, with the tiny network of `integration.plan_models`, in milliseconds."""

import hashlib
import json
from pathlib import Path

import onnx
from integration import plan_models

NAMES = ("tiny-fp32.onnx", "tiny-fp16.onnx", "tiny-int8.onnx")


def write_export(folder: Path, scratch: Path) -> Path:
    """Write FP32, FP16, INT8 and the report that lists them."""
    folder.mkdir(parents=True)
    fp32 = plan_models.fp32_model()
    models = (fp32, plan_models.fp16_model(fp32), plan_models.int8_model(fp32, scratch))
    for name, model in zip(NAMES, models, strict=True):
        onnx.save_model(model, folder / name)
    write_report(folder, NAMES)
    return folder


def write_report(folder: Path, names: tuple[str, ...]) -> None:
    record = {"calibration": {"method": "percentile", "num_faces": 8}, "float_layers": ["stem"]}
    artifacts = [
        {
            "name": name,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
            "written": True,
            "quantization": record if "int8" in name else None,
        }
        for name in names
    ]
    report = {
        "format": "fer-export-report-1",
        "checkpoint": {"name": "tiny.safetensors", "sha256": "0" * 64},
        "architecture": "tiny",
        "opset": 20,
        "max_accuracy_drop": 0.3,
        "versions": {"onnx": onnx.__version__},
        "artifacts": artifacts,
        "plans": [],
    }
    (folder / "report.json").write_text(json.dumps(report))
