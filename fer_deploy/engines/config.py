"""EngineChoice: the model and its device; settings that live and analyze share."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from fer_deploy.artifacts import Family
from fer_deploy.engines import Device, Engine, bundled_model_for, open_engine
from fer_deploy.settings import Settings


class EngineChoice(Settings):
    """A bundled model by its family, or the user's own file."""

    model: Family = Field(
        default="ferplus",
        description="bundled model: ferplus, trained on the votes of FER+ (real pictures), or fer2013, trained on "
        "FER2013's labels (the benchmark)",
    )
    engine: Path | None = Field(default=None, strict=False, description="model file, in place of `model`")
    device: Device = "auto"
    trust_plan: bool = Field(default=False, description="load a TensorRT plan without comparing it with its manifest")
    allow_host_code: bool = Field(default=False, description="let a plan's lean runtime run on the host")

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if self.engine is not None and "model" in self.model_fields_set:
            raise ValueError(
                f"model is {self.model} and engine is {self.engine}: two models. Fix: leave one of --model and "
                "--engine out"
            )
        return self

    @property
    def engine_file(self) -> Path:
        """The file to open.

        Raises:
            ArtifactError: the bundled model is missing from the installation.
            MissingDependencyError: ONNX Runtime is not installed.
        """
        return self.engine or bundled_model_for(self.device, self.model)

    def open(self) -> Engine:
        """Open the engine with one thread a call: there is one worker for each core, so more threads gain nothing.

        Raises:
            FerDeployError: as `open_engine`.
        """
        return open_engine(
            self.engine_file,
            device=self.device,
            threads=1,
            trust_plan=self.trust_plan,
            allow_host_code=self.allow_host_code,
        )
