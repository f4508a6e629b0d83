from pathlib import Path

import pytest
from unit.fer_train.config_cases import phases
from unit.fer_train.synthetic_faces import NO_AUGMENT, tiny_config

from fer_train.config_file import config_from_dict, load_config
from fer_train.errors import ConfigError

SHIPPED = sorted((Path(__file__).parents[3] / "configs" / "train").glob("*.yaml"))


def error_of(**values) -> str:
    with pytest.raises(ConfigError) as caught:
        config_from_dict(values, where="my.yaml")
    return str(caught.value)


def test_the_shipped_configs_are_found():
    assert {path.stem for path in SHIPPED} >= {"net", "net-finetune", "net-gpu", "senet", "senet-gpu"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_config_loads(path):
    assert path.stem.startswith(load_config(path).model.replace("_", "-"))
    for num_epochs in (1, 2, 3, 7, 99):
        assert load_config(path, {"num_epochs": num_epochs}).num_epochs == num_epochs


@pytest.mark.parametrize(
    ("values", "path", "near"),
    [
        ({"lerning_rate": 0.1}, "lerning_rate", "learning_rate"),
        ({"augment": {"flip_probabilty": 0.5}}, "augment.flip_probabilty", "flip_probability"),
        (
            {"scheduler": {"name": "OneCycle", "warmup_fractoin": 0.5}},
            "scheduler.OneCycle.warmup_fractoin",
            "warmup_fraction",
        ),
        ({"size_phases": [{"until_epoch": 3, "image_size": 32, "imagesize": 1}]}, "imagesize", "image_size"),
        ({"mix": {"mixup_alfa": 0.2}}, "mix.mixup_alfa", "mixup_alpha"),
        ({"distillation": {"teachers": ["a"], "temprature": 2.0}}, "distillation.temprature", "temperature"),
        ({"scheduler": {"name": "Cosine", "warmup_epoch": 2.0}}, "scheduler.Cosine.warmup_epoch", "warmup_epochs"),
    ],
)
def test_unknown_key_comes_with_the_nearest_known_one(values, path, near):
    message = error_of(**values)
    assert message.startswith("my.yaml: unknown key '")
    assert f"{path}'; did you mean {near!r}?" in message


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"patience": 3}, "patience"),
        ({"augment": {"dropout": 0.5}}, "dropout"),
        ({"scheduler": {"name": "OneCycle", "factor": 0.5}}, "factor"),
    ],
)
def test_key_that_belongs_elsewhere_is_not_suggested_as_itself(values, key):
    message = error_of(**values)
    assert "unknown key" in message
    assert f"did you mean {key!r}?" not in message


def test_key_like_no_other_lists_the_known_ones():
    assert "unknown key 'zzz'; known keys there: model, init, pretrained, labels, num_classes" in error_of(zzz=1)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"learning_rate": "0.1"}, "learning_rate: expected a number (got '0.1')"),
        ({"num_epochs": "3"}, "num_epochs: expected a whole number"),
        ({"num_epochs": 3.0}, "num_epochs: expected a whole number"),
        ({"batch_size": True}, "batch_size: expected a whole number"),
        ({"channels_last": "yes"}, "channels_last: expected true or false"),
        ({"size_phases": [{"until_epoch": "3", "image_size": 32}]}, "size_phases.0.until_epoch: expected"),
        ({"learning_rate": 0.0}, "learning_rate: expected more than 0"),
        ({"learning_rate": float("inf")}, "learning_rate: expected"),
        ({"image_size": 15}, "image_size: expected at least 16"),
        ({"dropout": 1.0}, "dropout: expected less than 1"),
        ({"num_classes": 1}, "num_classes: expected at least 2"),
        ({"model": "resnet"}, "model: expected 'net', 'senet', 'nano', 'resnet18', 'efficientnet_b0', "),
        ({"device": "gpu"}, "device: unknown device 'gpu': NVIDIA's GPUs are called cuda. Fix: --device cuda"),
        ({"device": "mps"}, "device: unknown device 'mps': Apple's GPU is not supported, training runs on CPUs and on"),
        ({"device": "cuda:x"}, "device: unknown device 'cuda:x'. Fix: --device auto, cpu, cuda or cuda:N"),
        ({"precision": "int8"}, "precision: expected 'auto', 'fp32', 'bf16' or 'fp16'"),
        ({"scheduler": {"name": "StepLR"}}, "scheduler: Input tag 'StepLR'"),
        ({"scheduler": {"name": "ReduceLROnPlateau", "factor": 1.0}}, "factor: expected less than 1"),
        ({"augment": {"rotation_degrees": -1.0}}, "augment.rotation_degrees: expected at least 0"),
        ({"mix": {"probability": 1.5}}, "mix.probability: expected at most 1"),
        ({"mix": {"mixup_alpha": -0.1}}, "mix.mixup_alpha: expected at least 0"),
        ({"distillation": {"teachers": []}}, "distillation.teachers: expected a length of at least 1"),
        ({"distillation": {"teachers": ["a"], "weight": 0.0}}, "distillation.weight: expected more than 0"),
        ({"distillation": {"teachers": ["a"], "temperature": 0.0}}, "temperature: expected more than 0"),
        ({"class_weights": "sqrt"}, "class_weights: expected 'none' or 'balanced'"),
        ({"sampling": "random"}, "sampling: expected 'shuffle' or 'balanced'"),
        ({"ferplus_share": 1.1}, "ferplus_share: expected at most 1"),
        ({"optimizer": "Adam"}, "optimizer: expected 'SGD', 'AdamW' or 'Muon'"),
        ({"muon": {"learning_rate": 0.0}}, "muon.learning_rate: expected more than 0"),
        ({"muon": {"rate": 0.1}}, "unknown key 'muon.rate'; known keys there: learning_rate, momentum, weight_decay"),
        ({"seed": 2**31}, "seed: expected less than 2147483648"),
    ],
)
def test_bad_value_is_named_and_never_converted(values, fault):
    message = error_of(**values)
    assert message.startswith("my.yaml: ")
    assert fault in message


def test_every_fault_is_named_at_once():
    message = error_of(lerning_rate=0.1, num_epochs="3")
    assert "lerning_rate" in message
    assert "num_epochs" in message


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        pytest.param(phases((4, 32), (2, 40)), "got [4, 2]", id="falling"),
        pytest.param(phases((4, 32), (4, 40)), "got [4, 4]", id="twice"),
        pytest.param(phases((10, 32)), "got [10]", id="at the end"),
    ],
)
def test_contradictory_size_phases(given, seen):
    message = error_of(size_phases=given, num_epochs=10)
    assert "size_phases must end at rising epochs below num_epochs=10" in message
    assert seen in message


@pytest.mark.parametrize("given", [phases((2, 40), (4, 32)), phases((2, 48))])
def test_sizes_that_shrink_contradict_smaller_first(given):
    assert "size_phases" in error_of(size_phases=given, num_epochs=10, image_size=40)


def test_same_split_for_training_and_validation():
    assert "are both 'Training'" in error_of(validation_split="Training")


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"init": "a.safetensors", "pretrained": "b.pth"}, "init and pretrained both name weights to start from"),
        ({"class_weights": "balanced", "sampling": "balanced"}, "class_weights and sampling are both balanced"),
        ({"scheduler": {"name": "Cosine", "warmup_epochs": 10.0}, "num_epochs": 10}, "must be below num_epochs=10"),
        ({"scheduler": {"name": "Cosine", "min_lr": 0.2}, "learning_rate": 0.1}, "not be above learning_rate=0.1"),
    ],
)
def test_contradictory_settings(values, fault):
    assert fault in error_of(**values)


@pytest.mark.parametrize(
    ("values", "is_on"),
    [
        ({}, False),
        ({"mixup_alpha": 0.2}, True),
        ({"cutmix_alpha": 1.0}, True),
        ({"mixup_alpha": 0.2, "probability": 0.0}, False),
    ],
)
def test_mixing_is_on_with_an_alpha_and_a_probability(values, is_on):
    assert tiny_config(mix=values).mix.is_on == is_on


def test_alternating_flip_leaves_no_room_for_a_probability():
    assert tiny_config(augment={"flip": "alternating"}).augment.flip == "alternating"
    with pytest.raises(ConfigError) as caught:
        config_from_dict({"augment": {"flip": "alternating", "flip_probability": 0.0}}, where="net.yaml")
    assert str(caught.value) == (
        "net.yaml: augment: flip: alternating mirrors every face in every second epoch, flip_probability must be 0.5, "
        "got 0. Fix: leave flip_probability out, or flip: random"
    )


def test_size_phases_end_before_their_epoch():
    config = tiny_config(num_epochs=5, size_phases=phases((1, 16), (3, 32)), image_size=48)
    assert [config.image_size_at(epoch) for epoch in range(5)] == [16, 32, 32, 48, 48]


def test_dumped_config_reads_back_equal():
    config = tiny_config(
        size_phases=phases((1, 16), (2, 32)),
        image_size=48,
        augment=NO_AUGMENT,
        mix={"mixup_alpha": 0.2},
        distillation={"teachers": ["a.safetensors", "b.json"], "cached": True},
    )
    assert config_from_dict(config.model_dump(mode="json"), where="dump") == config


def test_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        tiny_config().num_epochs = 4  # type: ignore[misc]


def test_nothing_is_chosen_by_the_test_split():
    with pytest.raises(ConfigError, match=r"PrivateTest is for one measurement .* Fix: validation_split: PublicTest"):
        config_from_dict({"validation_split": "PrivateTest"}, where="net.yaml")


def test_labels_of_ferplus_have_eight_classes_and_no_share():
    fault = "labels: ferplus has 8 classes, num_classes is 7. Fix: num_classes: 8"
    assert fault in error_of(labels="ferplus")
    assert fault in error_of(labels="ferplus", num_classes=7)
    assert "labels: ferplus learns from the votes alone; ferplus_share blends them into FER2013's labels" in error_of(
        labels="ferplus", num_classes=8, ferplus_share=0.5
    )
    assert "labels: expected 'fer2013' or 'ferplus' (got 'affectnet')" in error_of(labels="affectnet")


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, False),
        ({"ferplus_share": 0.5}, True),
        ({"labels": "ferplus", "num_classes": 8}, True),
        ({"labels": "ferplus", "num_classes": 8, "distillation": {"teachers": ["a.json"], "weight": 0.9}}, True),
        ({"labels": "ferplus", "num_classes": 8, "distillation": {"teachers": ["a.json"], "weight": 1}}, False),
        ({"ferplus_share": 0.5, "distillation": {"teachers": ["a.json"], "weight": 1}}, True),
    ],
)
def test_what_is_learned_from_decides_whether_votes_are_needed(changes, needed):
    assert config_from_dict(changes, where="here").needs_votes is needed
