"""export: checkpoint in, ONNX out, verified before it takes its name."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fer_deploy.artifacts import file_sha256
from fer_deploy.engines import open_engine
from fer_deploy.errors import ExportError
from fer_deploy.export.checkpoint import load_checkpoint, load_faces
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.portrait import SOURCE, portrait_faces
from fer_deploy.export.to_onnx import write_onnx
from fer_deploy.export.torch_engine import DeployedGraph, TorchEngine
from fer_deploy.export.verify import Agreement, compare, require_agreement


@dataclass(frozen=True)
class Exported:
    """What an export left behind."""

    onnx: Path
    report: Path
    agreement: Agreement


def export(config: ExportConfig) -> Exported:
    """Write `<architecture>-fp32.onnx` and its verification report into `config.out`.

    The graph is built under a temporary name in the same folder and renamed once it agrees with PyTorch; on any
    failure the folder is as it was.

    Raises:
        ArtifactError: the checkpoint or the data cannot be used.
        ExportError: no valid graph came out, or the folder cannot be written.
        VerificationError: ONNX Runtime and PyTorch disagree.
    """
    model, spec = load_checkpoint(config.checkpoint)
    graph = DeployedGraph(model, spec).eval()
    if config.data is None:
        images, where = portrait_faces(spec.input), SOURCE
    else:
        images, where = load_faces(config.data, config.num_faces, spec.input.height), str(config.data.name)
    final = config.out / f"{spec.architecture}-{spec.precision}.onnx"
    report = final.with_suffix(".verify.json")
    is_new = not config.out.exists()
    try:
        config.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=config.out) as folder:
            candidate = Path(folder) / final.name
            write_onnx(graph, spec, candidate, opset=config.opset)
            with (
                TorchEngine.open(config.checkpoint, device="cpu") as reference,
                open_engine(candidate, device="cpu") as engine,
            ):
                agreement = compare(reference, engine, images, faces=where)
            require_agreement(agreement, max_abs_logit=config.max_abs_logit, min_agreement=config.min_agreement)
            content = {
                "onnx": final.name,
                "sha256": file_sha256(candidate),
                "opset": config.opset,
                **agreement.to_dict(),
            }
            draft = Path(folder) / report.name
            draft.write_text(json.dumps(content, indent=2) + "\n")
            os.replace(draft, report)
            os.replace(candidate, final)
    except OSError as err:
        raise ExportError(f"cannot write into {config.out}: {err.strerror or err}. Fix: another --out") from err
    finally:
        if is_new and config.out.is_dir() and not any(config.out.iterdir()):
            config.out.rmdir()
    return Exported(final, report, agreement)
