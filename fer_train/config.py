"""TrainConfig: everything that shapes a training run, strict, from YAML and flags. Knows no torch."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fer_train.errors import ConfigError
from fer_train.yaml_file import read_yaml

TEST_SPLIT = "PrivateTest"
"""FER2013's test split: measured, never chosen by."""


class Strict(BaseModel):
    """Frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ReduceLROnPlateau(Strict):
    """Multiply the rate by `factor` when validation accuracy has not risen for `patience` epochs."""

    name: Literal["ReduceLROnPlateau"]
    factor: float = Field(default=0.5, gt=0, lt=1)
    patience: int = Field(default=5, ge=0, description="epochs")
    min_lr: float = Field(default=1e-6, ge=0)


class OneCycle(Strict):
    """Warm up to `learning_rate`, then anneal to almost zero along a cosine, step by step."""

    name: Literal["OneCycle"]
    warmup_fraction: float = Field(default=0.15, gt=0, lt=1, description="share of all steps")


class Cosine(Strict):
    """Rise linearly to `learning_rate`, then fall to `min_lr` along half a cosine, step by step."""

    name: Literal["Cosine"]
    warmup_epochs: float = Field(default=5.0, ge=0)
    min_lr: float = Field(default=0.0, ge=0)


Scheduler = Annotated[ReduceLROnPlateau | OneCycle | Cosine, Field(discriminator="name")]


class AugmentConfig(Strict):
    """Ranges of the per-sample augmentation; zero switches a part off."""

    rotation_degrees: float = Field(default=12.0, ge=0, le=180)
    translation: float = Field(default=0.15, ge=0, lt=1, description="share of the image side")
    scale: float = Field(default=0.15, ge=0, lt=1, description="0.15 draws from 0.85 to 1.15")
    flip_probability: float = Field(default=0.5, ge=0, le=1)
    brightness: float = Field(default=0.3, ge=0, lt=1)
    contrast: float = Field(default=0.3, ge=0, lt=1)
    erase_probability: float = Field(default=0.4, ge=0, le=1)
    fade_probability: float = Field(default=0.0, ge=0, le=1, description="lose 0 to 80 % of the contrast, as dim video")
    blur_probability: float = Field(default=0.0, ge=0, le=1, description="as faces that were smaller than the crop")


class MixConfig(Strict):
    """Mixup (Zhang et al. 2018, arXiv 1710.09412) and CutMix (Yun et al. 2019, arXiv 1905.04899)."""

    probability: float = Field(default=0.5, ge=0, le=1, description="share of the batches that are mixed")
    mixup_alpha: float = Field(default=0.0, ge=0, description="Beta(alpha, alpha) draws the share; 0: no mixup")
    cutmix_alpha: float = Field(default=0.0, ge=0, description="as mixup_alpha; with both, each batch draws one")

    @property
    def is_on(self) -> bool:
        """Whether any batch is mixed."""
        return self.probability > 0 and (self.mixup_alpha > 0 or self.cutmix_alpha > 0)


class DistillationConfig(Strict):
    """Learn from teachers' answers beside the labels (Hinton et al. 2015, arXiv 1503.02531)."""

    teachers: tuple[str, ...] = Field(
        min_length=1, strict=False, description="releases (.safetensors) or ensembles (.json); averaged"
    )
    weight: float = Field(default=0.5, gt=0, le=1, description="of the teachers in the loss; the labels have the rest")
    temperature: float = Field(default=2.0, gt=0)
    cached: bool = Field(
        default=False, description="ask the teachers once, on faces as they are, instead of on each augmented batch"
    )


class SizePhase(Strict):
    """Train the epochs before `until_epoch` (exclusive, from 0) on images of this size."""

    until_epoch: int = Field(ge=1)
    image_size: int = Field(ge=16, le=48, description="pixels a side")


class TrainConfig(Strict):
    """One training run. YAML keys are these names."""

    model: Literal["net", "senet", "resnet18", "efficientnet_b0", "vit"] = "net"
    init: str | None = Field(default=None, description="release (.safetensors) to start from; none: random weights")
    pretrained: str | None = Field(
        default=None, description="state dict of the torchvision model of that name, from your disk, to start from"
    )
    num_classes: int = Field(default=7, ge=2)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    image_size: int = Field(default=48, ge=16, le=48, description="pixels a side, of the last phase and of validation")
    size_phases: tuple[SizePhase, ...] = Field(
        default=(), description="smaller images first; empty: none", strict=False
    )
    batch_size: int = Field(default=128, ge=2)
    num_epochs: int = Field(default=60, ge=1)
    optimizer: Literal["SGD", "AdamW"] = Field(default="SGD", description="SGD with Nesterov momentum")
    learning_rate: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD; AdamW takes it as its first beta")
    weight_decay: float = Field(default=5e-4, ge=0, description="on matrices and kernels only")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    ferplus_share: float = Field(
        default=0.0, ge=0, le=1, description="of FER+'s votes in the targets; the label has the rest; needs --ferplus"
    )
    ferplus_votes: Literal["translated", "as_cast"] = Field(
        default="translated", description="into FER2013's way of labelling, learned from the training rows; or as cast"
    )
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: each class weighs the same in the loss"
    )
    sampling: Literal["shuffle", "balanced"] = Field(
        default="shuffle", description="balanced: faces are drawn so that each class is seen as often"
    )
    max_grad_norm: float | None = Field(default=None, gt=0, description="clip gradients to this norm")
    ema_decay: float = Field(default=0.999, ge=0, lt=1, description="0: no averaged weights")
    scheduler: Scheduler = OneCycle(name="OneCycle")
    augment: AugmentConfig = AugmentConfig()
    mix: MixConfig = MixConfig()
    distillation: DistillationConfig | None = None
    quantization_aware: bool = Field(default=False, description="train with INT8 rounding simulated; for fine-tuning")
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="auto: bf16 where the device has it, else fp16 on CUDA, else fp32"
    )
    channels_last: bool = True
    compile: bool = Field(default=False, description="torch.compile the network: minutes at the start, faster steps")
    protocol: Literal["official", "clean"] = Field(
        default="clean", description="clean: no training row whose pixels stand in another split"
    )
    train_split: str = "Training"
    validation_split: str = "PublicTest"
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _phases_grow(self) -> Self:
        epochs = [phase.until_epoch for phase in self.size_phases]
        if epochs != sorted(set(epochs)) or (epochs and epochs[-1] >= self.num_epochs):
            raise ValueError(
                f"size_phases must end at rising epochs below num_epochs={self.num_epochs}, got {epochs}. "
                "Fix: other phases, or size_phases: [] for none"
            )
        sizes = [*(phase.image_size for phase in self.size_phases), self.image_size]
        if sizes != sorted(sizes):
            raise ValueError(f"size_phases must grow up to image_size, got {sizes}")
        if self.init is not None and self.pretrained is not None:
            raise ValueError("init and pretrained both name weights to start from; give one")
        if isinstance(self.scheduler, Cosine) and self.scheduler.warmup_epochs >= self.num_epochs:
            raise ValueError(
                f"warmup_epochs must be below num_epochs={self.num_epochs}, got {self.scheduler.warmup_epochs:g}. "
                "Fix: scheduler: {name: Cosine, warmup_epochs: 0}"
            )
        if isinstance(self.scheduler, Cosine) and self.scheduler.min_lr > self.learning_rate:
            raise ValueError(f"min_lr must not be above learning_rate={self.learning_rate}")
        if self.class_weights == self.sampling == "balanced":
            raise ValueError("class_weights and sampling are both balanced; one of them is enough")
        if self.train_split == self.validation_split:
            raise ValueError(f"train_split and validation_split are both {self.train_split!r}")
        if self.validation_split == TEST_SPLIT:
            raise ValueError(
                f"{TEST_SPLIT} is for one measurement of a released model, by fer-train evaluate; a run chooses by its "
                "validation split. Fix: validation_split: PublicTest"
            )
        return self

    def image_size_at(self, epoch: int) -> int:
        """Return the side in pixels of the training images in this epoch, counted from 0."""
        return next((p.image_size for p in self.size_phases if epoch < p.until_epoch), self.image_size)


def load_config(path: Path, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
    """Read a YAML file and lay the overrides (flags that the user gave) on top.

    Raises:
        ConfigError: no such file, not a mapping, an unknown key (with the nearest known one) or a bad value.
    """
    content = read_yaml(path, examples="configs/train/*.yaml")
    return config_from_dict({**content, **(overrides or {})}, where=str(path))


def config_from_dict(values: Mapping[str, Any], *, where: str) -> TrainConfig:
    """Validate settings; `where` names their origin in errors.

    Raises:
        ConfigError: as `load_config`.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as err:
        raise ConfigError("\n".join(_describe(detail, where) for detail in err.errors())) from err


def _describe(detail: Any, where: str) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    if detail["type"] != "extra_forbidden":
        if not path:  # settings that do not go together: the message names them, the input is the whole config
            return f"{where}: {detail['msg'].removeprefix('Value error, ')}"
        hint = "; YAML reads 1e-3 as text, write 1.0e-3" if _is_number(detail["input"]) else ""
        return f"{where}: {path}: {detail['msg']} (got {detail['input']!r:.80}){hint}"
    known = list(_model_at(detail["loc"][:-1]).model_fields)
    near = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys there: {', '.join(known)}"
    return f"{where}: unknown key {path!r}; {hint}"


def _model_at(path: tuple[str | int, ...]) -> type[Strict]:
    names = [part for part in path if isinstance(part, str)]
    return _NESTED[names[-1]] if names else TrainConfig


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(float(value) or True)
    except ValueError:
        return False


_NESTED: dict[str, type[Strict]] = {
    "augment": AugmentConfig,
    "mix": MixConfig,
    "distillation": DistillationConfig,
    "Cosine": Cosine,
    "size_phases": SizePhase,
    "OneCycle": OneCycle,
    "ReduceLROnPlateau": ReduceLROnPlateau,
}
