"""Settings of a training run, strictly validated. `config_file` reads them from YAML. This module imports no torch."""

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

TEST_SPLIT = "PrivateTest"
"""FER2013's test split: for one final measurement, never for a choice."""


NUM_FERPLUS_CLASSES = 8
"""FER2013's seven classes and contempt."""


class Strict(BaseModel):
    """Base of the settings: frozen; unknown keys are errors."""

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
    """Ranges of the per-sample augmentation; zero disables a part."""

    rotation_degrees: float = Field(default=12.0, ge=0, le=180)
    translation: float = Field(default=0.15, ge=0, lt=1, description="share of the image side")
    scale: float = Field(default=0.15, ge=0, lt=1, description="0.15 draws from 0.85 to 1.15")
    flip: Literal["random", "alternating"] = Field(
        default="random",
        description="alternating: random in the first epoch, then the other way in each epoch (Jordan 2024)",
    )
    flip_probability: float = Field(default=0.5, ge=0, le=1)
    brightness: float = Field(default=0.3, ge=0, lt=1)
    contrast: float = Field(default=0.3, ge=0, lt=1)
    erase_probability: float = Field(default=0.4, ge=0, le=1)
    fade_probability: float = Field(
        default=0.0, ge=0, le=1, description="lose 0 to 80 % of the contrast, as in dim video"
    )
    blur_probability: float = Field(default=0.0, ge=0, le=1, description="Gaussian, sigma up to 2 pixels: a soft lens")
    downscale_probability: float = Field(
        default=0.0, ge=0, le=1, description="shrink to 12 to 36 pixels and scale up again: a distant face"
    )
    noise_probability: float = Field(
        default=0.0, ge=0, le=1, description="sensor noise: Gaussian, standard deviation up to 6 gray levels"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.flip == "alternating" and self.flip_probability != 0.5:
            raise ValueError(
                "flip: alternating mirrors every face in every second epoch, flip_probability must be 0.5, got "
                f"{self.flip_probability:g}. Fix: leave flip_probability out, or flip: random"
            )
        return self


class MixConfig(Strict):
    """Mixup (Zhang et al. 2018, arXiv 1710.09412) and CutMix (Yun et al. 2019, arXiv 1905.04899)."""

    probability: float = Field(default=0.5, ge=0, le=1, description="share of the batches that are mixed")
    mixup_alpha: float = Field(default=0.0, ge=0, description="the share comes from Beta(alpha, alpha); 0: no mixup")
    cutmix_alpha: float = Field(default=0.0, ge=0, description="as mixup_alpha; with both, each batch draws one")

    @property
    def is_on(self) -> bool:
        """Return whether any batch is mixed."""
        return self.probability > 0 and (self.mixup_alpha > 0 or self.cutmix_alpha > 0)


class MuonConfig(Strict):
    """Muon (Jordan et al. 2024) for filters and matrices; SGD trains the classifier, biases and batch norm."""

    learning_rate: float = Field(default=0.02, gt=0, description="peak; follows the schedule of learning_rate")
    momentum: float = Field(default=0.95, ge=0, lt=1)
    weight_decay: float = Field(
        default=0.01, ge=0, description="times learning_rate: share of the weights lost per step"
    )


class DistillationConfig(Strict):
    """Learn from the outputs of teachers as well as from the labels (Hinton et al. 2015, arXiv 1503.02531)."""

    teachers: tuple[str, ...] = Field(
        min_length=1, strict=False, description="releases (.safetensors) or ensembles (.json); averaged"
    )
    weight: float = Field(
        default=0.5, gt=0, le=1, description="share of the teachers in the loss; the labels have the rest"
    )
    temperature: float = Field(default=2.0, gt=0)
    cached: bool = Field(
        default=False, description="run the teachers once, on the original faces, instead of on each augmented batch"
    )


class SizePhase(Strict):
    """Image size of the epochs before `until_epoch` (exclusive, counted from 0)."""

    until_epoch: int = Field(ge=1)
    image_size: int = Field(ge=16, le=48, description="pixels a side")


class TrainConfig(Strict):
    """Settings of one training run. The YAML keys are these names."""

    model: Literal[
        "net", "senet", "nano", "resnet18", "efficientnet_b0", "efficientnet_lite0", "face_resnet", "vit"
    ] = "net"
    init: str | None = Field(default=None, description="release (.safetensors) to start from; null: random weights")
    pretrained: str | None = Field(
        default=None,
        description="file with the state dict of the torchvision model of that name, to start from; for "
        "efficientnet_lite0, imagenet means the weights of the extra `pretrained`; for face_resnet, faces means those "
        "of the extra `faces`, or a file of dlib's",
    )
    labels: Literal["fer2013", "ferplus"] = Field(
        default="fer2013",
        description="source of the targets: FER2013's labels (seven classes), or the votes of FER+'s ten taggers "
        "(the same seven and contempt, num_classes: 8); ferplus needs --ferplus, or teachers alone",
    )
    num_classes: int = Field(default=7, ge=2)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    image_size: int = Field(default=48, ge=16, le=48, description="pixels a side, of the last phase and of validation")
    size_phases: tuple[SizePhase, ...] = Field(
        default=(), description="smaller images first; empty: none", strict=False
    )
    batch_size: int = Field(default=128, ge=2)
    num_epochs: int = Field(default=60, ge=1)
    optimizer: Literal["SGD", "AdamW", "Muon"] = Field(
        default="SGD", description="SGD has Nesterov momentum; Muon: see `muon`; SGD trains the other weights"
    )
    muon: MuonConfig = MuonConfig()
    learning_rate: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD; AdamW uses it as its first beta")
    weight_decay: float = Field(default=5e-4, ge=0, description="on matrices and kernels only")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    ferplus_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of FER+'s votes in the targets; the label has the rest; needs --ferplus",
    )
    ferplus_votes: Literal["translated", "as_cast"] = Field(
        default="translated",
        description="translated into FER2013's way of labelling, learned from the training rows; or as cast",
    )
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: each class has the same weight in the loss"
    )
    sampling: Literal["shuffle", "balanced"] = Field(
        default="shuffle", description="balanced: faces are drawn so that each class appears equally often"
    )
    max_grad_norm: float | None = Field(default=None, gt=0, description="clip gradients to this norm")
    ema_decay: float = Field(default=0.999, ge=0, lt=1, description="0: no averaged weights")
    scheduler: Scheduler = OneCycle(name="OneCycle")
    augment: AugmentConfig = AugmentConfig()
    mix: MixConfig = MixConfig()
    distillation: DistillationConfig | None = None
    quantization_aware: bool = Field(default=False, description="train with INT8 rounding simulated; for fine-tuning")
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto",
        description="auto: on CUDA bf16, or fp16 where it is not native; on a CPU the faster of bf16 and fp32",
    )
    channels_last: bool = True
    compile: bool = Field(default=False, description="torch.compile the network: minutes at the start, faster steps")
    protocol: Literal["official", "clean"] = Field(
        default="clean", description="clean: no training row whose pixels appear in another split"
    )
    train_split: str = "Training"
    validation_split: str = "PublicTest"
    seed: int = Field(default=0, ge=0, lt=2**31)

    @field_validator("device")
    @classmethod
    def _device_is_known(cls, name: str) -> str:
        if fault := device_fault(name):
            raise ValueError(fault)
        return name

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
        if self.labels == "ferplus" and self.num_classes != NUM_FERPLUS_CLASSES:
            raise ValueError(
                f"labels: ferplus has {NUM_FERPLUS_CLASSES} classes, num_classes is {self.num_classes}. "
                f"Fix: num_classes: {NUM_FERPLUS_CLASSES}"
            )
        if self.labels == "ferplus" and self.ferplus_share:
            raise ValueError(
                "labels: ferplus learns from the votes alone; ferplus_share blends them into FER2013's labels. "
                "Fix: ferplus_share: 0, or labels: fer2013"
            )
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

    @property
    def needs_votes(self) -> bool:
        """Return whether the targets use FER+'s votes, so that the data must contain them."""
        return self.ferplus_share > 0 or (self.labels == "ferplus" and not self.learns_from_teachers_alone)

    @property
    def learns_from_teachers_alone(self) -> bool:
        """Return whether the teachers have the whole weight in the loss, so that no label is used."""
        return self.distillation is not None and self.distillation.weight == 1

    def is_judged_by_teachers(self, label_set: str) -> bool:
        """Return whether the teachers judge the run: it learns from them alone, other labels than the data have."""
        return self.learns_from_teachers_alone and self.labels != label_set

    def image_size_at(self, epoch: int) -> int:
        """Return the side in pixels of the training images in this epoch (counted from 0)."""
        return next((p.image_size for p in self.size_phases if epoch < p.until_epoch), self.image_size)


def device_fault(name: str) -> str:
    """Return why a device name is not supported, with the Fix; an empty string if it is."""
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        return ""
    kind = name.split(":", maxsplit=1)[0].lower()
    if kind in _OTHER_DEVICES:
        return (
            f"unknown device {name!r}: {_OTHER_DEVICES[kind]} is not supported, training runs on CPUs and on NVIDIA's "
            "GPUs. Fix: --device cpu, or device: cpu in the config"
        )
    if kind in ("gpu", "nvidia"):
        return f"unknown device {name!r}: NVIDIA's GPUs are called cuda. Fix: --device cuda, or cuda:N for one"
    return f"unknown device {name!r}. Fix: --device auto, cpu, cuda or cuda:N"


_OTHER_DEVICES = {
    "mps": "Apple's GPU",
    "metal": "Apple's GPU",
    "xpu": "Intel's GPU",
    "rocm": "AMD's GPU under this name",
    "hip": "AMD's GPU under this name",
    "tpu": "a TPU",
    "xla": "a TPU",
    "npu": "an NPU",
    "vulkan": "Vulkan",
    "dml": "DirectML",
    "directml": "DirectML",
    "opencl": "OpenCL",
}
"""Prefix of a device name to a description of the device."""
