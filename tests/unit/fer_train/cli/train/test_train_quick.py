"""--quick: the whole command on a few small faces."""

import pytest
from unit.fer_train.cli.train.train_cases import TRAIN_COMMANDS, run, spec_of
from unit.fer_train.synthetic_faces import make_faces, write_csv

from fer_train.errors import ConfigError


@pytest.fixture
def many_faces(tmp_path):
    return write_csv(tmp_path / "many.csv", make_faces(Training=700, PublicTest=300, PrivateTest=20))


@pytest.mark.slow
@pytest.mark.parametrize("command", TRAIN_COMMANDS)
def test_quick_runs_the_whole_command_on_a_few_small_faces(tmp_path, flags, teacher, many_faces, monkeypatch, command):
    given = flags(num_epochs=24, size_phases=[{"until_epoch": 12, "image_size": 16}], image_size=48, batch_size=512)
    extra = {"distill": ["--teacher", teacher], "crossval": ["--folds", 2]}.get(command, [])
    run(command, *given, "--data", many_faces, "--quick", *extra)
    out = tmp_path / "out" / ("fold-0" if command == "crossval" else "")
    spec = spec_of(out)
    assert (spec["input"]["height"], spec["input"]["width"]) == (32, 32)
    assert spec["provenance"]["config"]["num_epochs"] == 1
    assert spec["provenance"]["config"]["size_phases"] == []
    faces = spec["provenance"]["num_faces"]
    if command != "crossval":
        assert 512 <= faces["Training"] <= 518
        assert 256 <= faces["PublicTest"] <= 262
    assert sum(faces.values()) <= 780


@pytest.mark.slow
def test_quick_takes_what_the_user_gives_beside_it(tmp_path, flags, many_faces):
    run("train", *flags(), "--data", many_faces, "--quick", "--epochs", 2)
    assert spec_of(tmp_path / "out")["provenance"]["config"]["num_epochs"] == 2


@pytest.mark.parametrize("key", ["init", "teachers"])
def test_weights_of_a_config_are_named_where_they_are(tmp_path, flags, teacher, monkeypatch, key):
    (tmp_path / "my repo" / "weights").mkdir(parents=True)
    teacher.rename(tmp_path / "my repo" / "weights" / "a.safetensors")
    name = "weights/a.safetensors"
    given = flags(init=name) if key == "init" else flags(distillation={"teachers": [name]})
    config = (tmp_path / "tiny.yaml").rename(tmp_path / "my repo" / "tiny.yaml")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    result = run("train", "--config", config, *given[2:], code=ConfigError.exit_code)
    assert (
        f"no {name} in {tmp_path}/elsewhere; {tmp_path}/my repo has it. Fix: cd '{tmp_path}/my repo'" in result.stderr
    )


@pytest.mark.slow
def test_quick_leaves_the_folder_of_the_real_run_alone(tmp_path, flags, many_faces, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for _ in range(2):  # as often as the user likes
        run("train", *flags()[:2], "--data", many_faces, "--no-tensorboard", "--quick")
    assert not (tmp_path / "runs").exists()
    assert len(list(tmp_path.glob("fer-train-tiny-*/final.safetensors"))) == 2
