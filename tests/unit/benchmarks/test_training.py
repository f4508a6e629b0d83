import dataclasses
import json

import numpy as np
import pytest
import torch
import training
from click.testing import CliRunner
from harness.conventional import PictureDataset
from unit.fer_train.synthetic_faces import NARROW_CHANNELS, make_faces, tiny_config

CPU = torch.device("cpu")
TRAINERS = ["DataLoader, eager", "fer_train", "fer_train, whole epoch through fit"]


@pytest.fixture
def quick(monkeypatch):
    """No training: a second for the DataLoader, half of it for fer_train and so on; a device of 100 GFLOP/s."""

    def seconds(calls, *_, **__):
        return {name: [0.5**i] for i, name in enumerate([*calls, training.WHOLE])}

    monkeypatch.setattr(training, "conventional_epoch", lambda *_: None)
    monkeypatch.setattr(training, "our_epoch", lambda *_: None)
    monkeypatch.setattr(training, "seconds_per_epoch", seconds)
    monkeypatch.setattr(training, "matmul_flops", lambda *_, **__: 100e9)
    monkeypatch.setattr(training, "flops_per_image", lambda _: 0.5e9)
    monkeypatch.setattr(training, "bf16_speedup", lambda: 1.25)


def measure(**changes):
    values = {"num_faces": 70, "batch_size": 32, "rounds": 1, "device": CPU, "compiled": False} | changes
    return training.measure("net", **values)


@pytest.mark.usefixtures("quick")
def test_rates_are_of_whole_batches_and_relative_to_the_dataloader():
    result = measure()
    assert list(result) == [
        "model",
        "precision",
        "batch_size",
        "validation_faces",
        "gflop_per_image",
        "matmul_gflops",
        "trainers",
    ]
    assert list(result["trainers"]) == TRAINERS
    assert result["trainers"]["DataLoader, eager"] == {
        "images_per_s": 64.0,
        "speedup": 1.0,
        "share_of_matmul_rate": pytest.approx(0.32),
        "speedups": [1.0],
    }
    assert result["trainers"]["fer_train"] == {
        "images_per_s": 128.0,
        "speedup": 2.0,
        "share_of_matmul_rate": pytest.approx(0.64),
        "speedups": [2.0],
    }


@pytest.mark.usefixtures("quick")
def test_compiled_trainer_is_measured_where_asked_for_and_whole_epochs_then_with_it():
    compiled = "fer_train, torch.compile"
    assert list(measure(compiled=True)["trainers"]) == [*TRAINERS[:2], compiled, f"{compiled}, {training.WHOLE}"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("auto", "other", "rate"), [("fp32", "bf16", 400e9), ("bf16", "fp32", 50e9)])
def test_precision_that_auto_did_not_choose_is_measured_against_its_own_matrix_products(monkeypatch, auto, other, rate):
    trained_in = []

    def our_epoch(_, config):
        trained_in.append(config.precision)

    def matmul_flops(_, dtype, **__):
        return rate if dtype == training.DTYPES[other] else 100e9

    monkeypatch.setattr(training, "resolve_precision", lambda *_: auto)
    monkeypatch.setattr(training, "our_epoch", our_epoch)
    monkeypatch.setattr(training, "matmul_flops", matmul_flops)
    rows = measure(with_other=True)["trainers"]
    assert trained_in == [auto, other]
    assert list(rows) == [*TRAINERS[:2], f"fer_train in {other}", TRAINERS[2]]
    row = rows[f"fer_train in {other}"]
    assert row["share_of_matmul_rate"] == pytest.approx(row["images_per_s"] * 0.5e9 / rate)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("features", [("avx2", "avx512_bf16", "amx_bf16"), ("avx2", "avx512f")])
def test_choice_of_auto_names_the_instructions_and_the_trial(monkeypatch, features):
    seen = dataclasses.replace(training.survey(), cpu_features=features)
    monkeypatch.setattr(training, "survey", lambda: seen)
    monkeypatch.setattr(training, "resolve_precision", lambda *_: "bf16")
    choice = training.choice_of_precision(CPU)
    is_able = len(features) == 3
    assert choice == {
        "auto": "bf16",
        "features": ["avx512_bf16", "amx_bf16"] if is_able else [],
        "is_choice": is_able,
        "bf16_speedup": 1.25 if is_able else None,
    }
    env = dict.fromkeys(("hardware", "date", "python", "command", "device", "faces", "rounds"), "")
    text = training.as_markdown([], env, choice)
    assert "`precision: auto` takes bf16. Instructions for bf16: " in text
    assert ("avx512_bf16, amx_bf16." in text) == is_able
    assert ("bf16 is 1.25 times as fast as fp32" in text) == is_able
    assert ("bf16 was not measured: this CPU would emulate it" in text) != is_able


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("is_choice", [True, False])
@pytest.mark.parametrize("flag", ["--other-precision", "--no-other-precision"])
def test_other_precision_is_measured_where_auto_has_a_choice(tmp_path, monkeypatch, is_choice, flag):
    choice = {"auto": "fp32", "features": [], "is_choice": is_choice, "bf16_speedup": None}
    monkeypatch.setattr(training, "choice_of_precision", lambda _: choice)
    monkeypatch.setattr(training, "resolve_precision", lambda *_: "fp32")
    words = ["--models", "net", "--device", "cpu", "--rounds", "1", "--out", str(tmp_path / "a.md"), flag]
    result = CliRunner().invoke(training.main, words)
    assert result.exit_code == 0, result.output
    trainers = json.loads((tmp_path / "a.json").read_text())["results"][0]["trainers"]
    assert ("fer_train in bf16" in trainers) == (is_choice and flag == "--other-precision")


def test_report_says_how_much_of_an_epoch_the_steps_are():
    row = {"speedup": 1.0, "share_of_matmul_rate": 0.25}
    trainers = {
        "fer_train": row | {"images_per_s": 200.0},
        "fer_train in fp32": row | {"images_per_s": 50.0},
        TRAINERS[2]: row | {"images_per_s": 160.0},
    }
    results = [{"model": "net", "precision": "bf16", "trainers": trainers, "validation_faces": 9}]
    env = dict.fromkeys(("hardware", "date", "python", "command", "device", "faces", "rounds"), "")
    assert "net: the steps alone take 80% of a whole epoch's time." in training.as_markdown(results, env)


def test_whole_epoch_is_one_of_fit_with_all_that_it_writes_and_the_others_take_turns_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr("fer_train.models.net.STAGE_CHANNELS", NARROW_CHANNELS)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    written = []

    def other():
        [out] = tmp_path.iterdir()
        written.append({path.name for path in out.iterdir()})

    faces = make_faces(Training=32, PublicTest=4)
    seconds = training.seconds_per_epoch({"other": other}, tiny_config(), faces, rounds=2, device=CPU)
    assert list(seconds) == ["other", training.WHOLE]
    assert len(seconds[training.WHOLE]) == 2
    assert min(seconds[training.WHOLE]) > 0
    assert written == 3 * [{"config.yaml", "best.safetensors", "last.pt"}]
    assert not list(tmp_path.iterdir())


def test_first_epoch_of_each_does_not_count_and_no_epoch_has_the_time_of_others(monkeypatch):
    now = [0.0]
    durations = {"a": iter([90.0, 1.0, 5.0, 3.0]), "fit": iter([70.0, 8.0, 6.0, 9.0])}

    def take(name):
        now[0] += next(durations[name])

    def fit(config, faces, out, *, on_epoch):
        for epoch in range(config.num_epochs):
            take("fit")
            on_epoch({"epoch": epoch})

    monkeypatch.setattr(training, "fit", fit)
    monkeypatch.setattr("training.time.perf_counter", lambda: now[0])
    calls = {"a": lambda: take("a")}
    seconds = training.seconds_per_epoch(calls, tiny_config(), make_faces(), rounds=3, device=CPU)
    assert seconds == {"a": [1.0, 5.0, 3.0], training.WHOLE: [8.0, 6.0, 9.0]}


def test_speedups_are_those_of_the_rounds_and_rates_those_of_the_medians():
    seconds = {training.CONVENTIONAL: [4.0, 2.0, 3.0], "fer_train": [1.0, 2.0, 2.0]}
    rows = training._rates(seconds, 60, 0.001)
    assert rows["fer_train"]["speedups"] == [4.0, 1.0, 1.5]
    assert rows["fer_train"]["images_per_s"] == 30.0
    assert rows["fer_train"]["speedup"] == 1.5
    (_, found) = training.measures_of([{"model": "net", "precision": "fp32", "trainers": rows}])
    assert (found.name, found.value) == ("net, fp32, fer_train: times the DataLoader trainer", 1.5)
    assert 1.0 <= found.low <= 1.5 < found.high <= 4.0


def test_faces_to_validate_on_are_as_many_as_in_fer2013():
    assert training.generated_faces(800).counts() == {"Training": 800, "PublicTest": 100}
    assert training.generated_faces(3).counts() == {"Training": 3, "PublicTest": 1}


@pytest.mark.usefixtures("quick")
def test_command_writes_every_model_as_markdown_and_json(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.results.UNPUBLISHED", tmp_path)
    words = ["--models", "net,senet", "--faces", "70", "--batch-size", "32", "--rounds", "2", "--device", "cpu"]
    result = CliRunner().invoke(training.main, words)
    assert result.exit_code == 0, result.output
    [path] = tmp_path.glob("*/*/training.md")
    written = json.loads(path.with_suffix(".json").read_text())
    assert [r["model"] for r in written["results"]] == ["net", "senet"]
    assert (written["device"], written["faces"], written["rounds"]) == ("cpu", "70", "2")
    assert "| net | " in path.read_text()
    assert "| senet | " in path.read_text()


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("is_whole", [True, False])
def test_report_says_what_its_figures_are_worth(device, is_whole):
    row = {"images_per_s": 12345.6, "speedup": 1.5, "share_of_matmul_rate": 0.25}
    results = [{"model": "net", "precision": "bf16", "trainers": {"fer_train": row}}]
    if is_whole:
        results[0] |= {"validation_faces": 9}
    env = {
        "hardware": "A machine",
        "date": "2026-11-23",
        "python": "3.11",
        "command": "python x",
        "device": device,
        "faces": "70",
        "rounds": "2",
    }
    text = training.as_markdown(results, env)
    assert text.startswith("# Training speed, A machine\n")
    assert "| net | bf16 | fer_train | 12,346 | 1.50x | 25% |" in text
    assert ("only ratios" in text) == (device == "cpu")
    assert ("validation on 9 faces" in text) == is_whole
    assert ("is not measured here" in text) != is_whole
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_operations_of_a_network_are_counted_forward_and_backward(monkeypatch):
    monkeypatch.setattr("fer_train.models.net.STAGE_CHANNELS", NARROW_CHANNELS)
    narrow = training.flops_per_image("net")
    monkeypatch.setattr("fer_train.models.net.STAGE_CHANNELS", tuple(2 * c for c in NARROW_CHANNELS))
    assert 2 * narrow < training.flops_per_image("net") < 4 * narrow


def test_pictures_of_the_conventional_trainer_are_normalized_images_and_labels():
    images = np.full((3, 48, 48), 128, dtype=np.uint8)
    dataset = PictureDataset(images, np.array([4, 5, 6]))
    assert len(dataset) == 3
    image, label = dataset[1]
    assert (image.shape, label) == ((1, 48, 48), 5)
    assert image.abs().max() < 4
