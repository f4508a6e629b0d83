"""LiveConfig: everything that shapes a run of the live loop."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from fer_deploy.engines.base import Device
from fer_deploy.settings import Settings


def _text_of_camera(value: object) -> object:
    """YAML reads `source: 0` as a number; it names a camera all the same."""
    return str(value) if type(value) is int else value


class LiveConfig(Settings):
    """One run of `fer-deploy live`; YAML keys and flags have these names."""

    source: Annotated[str, BeforeValidator(_text_of_camera)] = Field(
        default="0", description="camera number, file, folder, URL, or synthetic", min_length=1
    )
    engine: Path | None = Field(
        default=None, strict=False, description="model file; none: the one that ships with the package"
    )
    device: Device = "auto"
    detector: Literal["haar"] = "haar"
    record: Path | None = Field(default=None, strict=False, description="annotated video: .mp4, .avi or .mkv")
    jsonl: Path | None = Field(default=None, strict=False, description="results, one JSON object a frame")
    display: bool = Field(default=True, description="show a window where there is a screen")
    max_frames: int | None = Field(default=None, ge=1, description="end after this many; none: at the source's end")
    trust_plan: bool = Field(default=False, description="load a TensorRT plan that its manifest does not vouch for")
    allow_host_code: bool = Field(default=False, description="let a plan's lean runtime run on the host")

    @model_validator(mode="after")
    def _outputs_overwrite_nothing_read(self) -> Self:
        outputs = [path.resolve() for path in (self.record, self.jsonl) if path is not None]
        if len(set(outputs)) < len(outputs):
            raise ValueError(f"record and jsonl are the same file, {self.record}")
        for role, read in (("source", self.source), ("engine", self.engine)):
            if read is not None and Path(read).resolve() in outputs:
                raise ValueError(f"{read} is both {role} and output; it would be overwritten")
        return self
