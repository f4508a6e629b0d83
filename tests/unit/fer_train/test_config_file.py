"""Reading a config from a file and flags."""

import pytest
import yaml
from unit.fer_train.config_cases import phases

from fer_train.config import Cosine, OneCycle, ReduceLROnPlateau, TrainConfig
from fer_train.config_file import config_from_dict, load_config
from fer_train.errors import ConfigError


def shortened(tmp_path, num_epochs, written):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(written))
    return load_config(path, {"num_epochs": num_epochs})


@pytest.mark.parametrize(
    ("num_epochs", "expected"),
    [
        (25, [(12, 32), (18, 40)]),
        (19, [(12, 32), (18, 40)]),
        (18, [(9, 32), (14, 40)]),
        (12, [(6, 32), (9, 40)]),
        (3, [(2, 40)]),
        (2, [(1, 32)]),
        (1, []),
    ],
)
def test_fewer_epochs_than_the_phases_of_the_file_shorten_them_all(tmp_path, caplog, num_epochs, expected):
    caplog.set_level("INFO")
    written = {"num_epochs": 24, "size_phases": phases((12, 32), (18, 40))}
    config = shortened(tmp_path, num_epochs, written)
    assert [(phase.until_epoch, phase.image_size) for phase in config.size_phases] == expected
    assert bool(caplog.messages) == (num_epochs <= 18)
    if num_epochs == 2:
        assert caplog.messages == ["2 epochs instead of 24: size_phases becomes [{'until_epoch': 1, 'image_size': 32}]"]


def test_a_warm_up_that_is_longer_than_the_run_keeps_its_share(tmp_path, caplog):
    caplog.set_level("INFO")
    written = {"num_epochs": 20, "scheduler": {"name": "Cosine", "warmup_epochs": 5.0, "min_lr": 0.001}}
    assert shortened(tmp_path, 6, written).scheduler == Cosine(name="Cosine", warmup_epochs=5.0, min_lr=0.001)
    assert not caplog.messages
    assert shortened(tmp_path, 2, written).scheduler == Cosine(name="Cosine", warmup_epochs=0.5, min_lr=0.001)
    assert caplog.messages[0].startswith("2 epochs instead of 20: scheduler becomes {'name': 'Cosine', 'warmup")


def test_what_a_flag_gives_is_never_shortened(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("num_epochs: 24\nsize_phases: [{until_epoch: 12, image_size: 32}]\n")
    overrides = {"num_epochs": 4, "size_phases": phases((9, 16))}
    with pytest.raises(ConfigError, match=r"below num_epochs=4, got \[9\]"):
        load_config(path, overrides)


def test_a_file_at_fault_is_told_as_without_overrides(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("num_epochs: 24\nsize_phases: [{until_epoch: 30, image_size: 32}]\nrate: 1\n")
    with pytest.raises(ConfigError, match="unknown key 'rate'"):
        load_config(path, {"num_epochs": 1})


def test_yaml_gives_each_part_its_type(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("scheduler: {name: ReduceLROnPlateau, patience: 2}\naugment: {scale: 0.0}\nlearning_rate: 1\n")
    config = load_config(path)
    assert config.scheduler == ReduceLROnPlateau(name="ReduceLROnPlateau", patience=2)
    assert config.augment.scale == 0.0
    assert config.learning_rate == 1.0
    assert TrainConfig().scheduler == OneCycle(name="OneCycle")


def test_override_wins_and_is_validated(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("num_epochs: 5\n")
    assert load_config(path, {"num_epochs": 7}).num_epochs == 7
    with pytest.raises(ConfigError, match=r"c\.yaml: num_epochs: expected at least 1 \(got 0\)"):
        load_config(path, {"num_epochs": 0})


def test_an_override_is_named_as_the_user_gave_it(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("batch_size: 0\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, {"num_epochs": 0}, flags={"num_epochs": "--epochs", "batch_size": "--batch-size"})
    assert sorted(str(caught.value).splitlines()) == [
        f"{path}: batch_size: expected at least 2 (got 0)",
        "command line: --epochs: expected at least 1 (got 0)",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "must hold key: value pairs, found NoneType"),
        ("- a\n- b\n", "must hold key: value pairs, found list. Fix: lines as in the shipped configs"),
        ("a: [1\n", "is not valid YAML"),
        ("1: 2\n", "expected text as the key"),
    ],
)
def test_file_that_is_no_config(tmp_path, text, fault):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=fault):
        load_config(path)


def test_missing_file_names_the_shipped_ones(tmp_path):
    with pytest.raises(
        ConfigError, match=r"cannot read config .*absent\.yaml.*Fix: another path; shipped configs: configs/train/"
    ):
        load_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"size_phases": [{"until_epoch": 8, "image_size": 32}]},
            "net.yaml: size_phases must end at rising epochs below num_epochs=1, got [8]. "
            "Fix: other phases, or size_phases: [] for none",
        ),
        (
            {"scheduler": {"name": "Cosine"}},
            "net.yaml: warmup_epochs must be below num_epochs=1, got 5. "
            "Fix: scheduler: {name: Cosine, warmup_epochs: 0}",
        ),
    ],
)
def test_fewer_epochs_than_the_config_has_room_for(settings, message):
    with pytest.raises(ConfigError) as caught:
        config_from_dict(settings | {"num_epochs": 1}, where="net.yaml")
    assert str(caught.value) == message
