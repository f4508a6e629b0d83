"""ExportConfig: everything that shapes an export."""

from pathlib import Path

from pydantic import Field

from fer_deploy.settings import Settings


class ExportConfig(Settings):
    """One run of `fer-deploy export`; YAML keys and flags have these names."""

    checkpoint: Path = Field(strict=False, description="a .safetensors release of fer-train")
    out: Path = Field(strict=False, description="folder of the artifacts")
    data: Path | None = Field(
        default=None,
        strict=False,
        description="FER2013 (CSV or folder) to verify on; none: a public-domain portrait in many variants",
    )
    opset: int = Field(default=20, ge=19, le=22, description="20: the newest that every runtime we build for reads")
    num_faces: int = Field(default=512, ge=1, description="how many faces of `data` to verify on")
    max_abs_logit: float = Field(default=1e-3, gt=0, description="largest allowed |logit of ONNX - logit of PyTorch|")
    min_agreement: float = Field(default=1.0, ge=0, le=1, description="least allowed share of equal argmax")
