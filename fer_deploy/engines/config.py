"""EngineChoice: the model and its device; settings that live and analyze share."""

from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Self, get_args

from pydantic import Field, model_validator

from fer_deploy.artifacts import Family
from fer_deploy.engines import Device, Engine, bundled_model_for, is_folder_of_models, open_engine
from fer_deploy.engines.triton.address import is_triton, with_slashes
from fer_deploy.errors import ConfigError, argument
from fer_deploy.settings import Settings

if TYPE_CHECKING:
    from fer_deploy.engines.best import Chosen


class EngineChoice(Settings):
    """A bundled model by its family, or the user's own file."""

    model: Family = Field(
        default="ferplus",
        description="bundled model: ferplus, trained on the votes of FER+ (real pictures); nano-ferplus, a small "
        "network of the same labels (many faces); or fer2013, trained on FER2013's labels (the benchmark)",
    )
    engine: Path | None = Field(
        default=None,
        strict=False,
        description="model file, a folder that fer-deploy bench measured, or triton://HOST:8001/MODEL, in place of "
        "`model`",
    )
    device: Device = "auto"
    trust_plan: bool = Field(default=False, description="load a TensorRT plan without comparing it with its manifest")
    allow_host_code: bool = Field(default=False, description="let a plan's lean runtime run on the host")

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if self.engine is not None and "model" in self.model_fields_set:
            raise ValueError(
                f"model is {self.model} and engine is {with_slashes(self.engine)}: two models. Fix: leave one of "
                f"{argument('model')} and {argument('engine')} out"
            )
        return self

    @property
    def engine_file(self) -> Path:
        """The file to open, or the address of a served model; for a folder, its best model with one thread a call.

        A bundled model is the best that `fer-deploy bench` without a folder has measured here, if it still fits.

        Raises:
            ArtifactError: the bundled model is missing from the installation; or see `choose_best`.
            ConfigError: `engine` is the name of a bundled model and no file; or see `choose_best`.
            MissingDependencyError: ONNX Runtime is not installed.
        """
        if self.engine is None:
            return bundled_model_for(self.device, self.model) if self._chosen is None else self._chosen.path
        if str(self.engine) in get_args(Family) and not self.engine.exists():
            raise ConfigError(
                f"engine is {self.engine}, which is no file but the name of a bundled model. "
                f"Fix: {argument('model', str(self.engine))}"
            )
        return self.engine if self._chosen is None else self._chosen.path

    @property
    def choice_line(self) -> str:
        """Why this file: a text for users where it was measured, else empty."""
        return "" if self._chosen is None else self._chosen.line

    @cached_property
    def _chosen(self) -> "Chosen | None":
        if self.engine is None:
            of_bundled: Chosen | None = (
                import_module("fer_deploy.engines.bundled_best").bundled_best(self.model, self.device).chosen
            )
            return of_bundled
        if not is_folder_of_models(self.engine):
            return None
        choose = import_module("fer_deploy.engines.best").choose_best
        chosen: Chosen = choose(self.engine, device=self.device, threads=1)
        return chosen

    def model_files(self) -> list[Path]:
        """Return the files that `engine` is read from, as far as they exist: the model, its manifest, and best.json."""
        if self.engine is None or not self.engine.name or is_triton(self.engine):
            return []
        if self.engine.is_dir():
            return sorted(self.engine.iterdir())
        manifest: Path = import_module("fer_deploy.manifest").manifest_path(self.engine)
        return [self.engine, manifest]

    def open(self) -> Engine:
        """Open the engine with one thread a call: there is one worker for each core, so more threads gain nothing.

        Raises:
            FerDeployError: as `open_engine`.
        """
        chosen = self._chosen
        return open_engine(
            self.engine_file,
            device=self.device if chosen is None else chosen.device,
            threads=1,
            trust_plan=self.trust_plan,
            allow_host_code=self.allow_host_code,
        )
