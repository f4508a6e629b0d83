from pathlib import Path

import pytest
import yaml

from fer_train.config_file import load_config
from fer_train.errors import ConfigError
from fer_train.sweep.plan import read_plan, write_trials


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a plan of one single and one student, with these keys changed."""
    base = tmp_path / "net.yaml"
    base.write_text(yaml.safe_dump({"model": "net", "learning_rate": 0.1, "seed": 0}))

    def written(**changes):
        content = {
            "jobs": 2,
            "singles": [{"config": str(base), "seeds": [1, 2]}],
            "ensemble": {"size": 2},
            "students": [
                {
                    "config": str(base),
                    "seeds": [9],
                    "name": "student",
                    "set": {
                        "ferplus_share": 0.3,
                        "distillation": {"weight": 0.7},
                    },
                }
            ],
        }
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump(content | changes))
        return path

    return written


def test_plan_becomes_one_resolved_config_a_seed(tmp_path, write):
    plan, out = read_plan(write()), tmp_path / "out"
    singles = write_trials(plan.singles, out)
    assert [(t.name, t.seed, t.out.name, t.needs_votes) for t in singles] == [
        ("net", 1, "net-1", False),
        ("net", 2, "net-2", False),
    ]
    assert [load_config(t.config_file) for t in singles] == [t.config for t in singles]
    assert [(c.learning_rate, c.seed) for c in (load_config(t.config_file) for t in singles)] == [(0.1, 1), (0.1, 2)]
    [student] = write_trials(plan.students, out, teacher=out / "ensemble.json")
    taught = load_config(student.config_file).distillation
    assert (taught.weight, taught.teachers) == (0.7, (str(out / "ensemble.json"),))
    assert student.needs_votes


def test_student_takes_the_distillation_of_its_config_where_the_plan_says_nothing(tmp_path, write):
    base = tmp_path / "taught.yaml"
    base.write_text(yaml.safe_dump({"distillation": {"teachers": ["one.safetensors"], "temperature": 4.0}}))
    plan = read_plan(write(students=[{"config": str(base), "seeds": [9]}]))
    [student] = write_trials(plan.students, tmp_path, teacher=Path("ensemble.json"))
    taught = load_config(student.config_file).distillation
    assert (taught.temperature, taught.teachers) == (4.0, ("ensemble.json",))


def test_shipped_plans_make_configs_that_fer_train_takes(tmp_path, repo_dir, monkeypatch):
    monkeypatch.chdir(repo_dir)
    for path in sorted(Path("configs/sweep").glob("*.yaml")):
        plan = read_plan(path)
        trials = [*write_trials(plan.singles, tmp_path), *write_trials(plan.students, tmp_path, teacher=Path("e.json"))]
        assert [load_config(t.config_file).seed for t in trials] == [t.seed for t in trials]
        with_votes = {t.label for t in trials if t.needs_votes}
        if path.name == "cpu.yaml":  # no limit of time: each run has votes, the ensemble waits
            assert with_votes == {t.label for t in trials}
            assert plan.ensemble.after_share is None
        elif path.name == "optimizers.yaml":  # a comparison alone
            assert with_votes == {t.label for t in trials}
            assert plan.ensemble is None
        else:
            assert with_votes == {"net-votes-1"}
            assert plan.ensemble.after_share == 0.55


def test_tiny_plan_has_every_kind_of_run_of_the_gpus_at_an_epoch_and_16_pixels(tmp_path, repo_dir, monkeypatch):
    monkeypatch.chdir(repo_dir)

    def kinds(name):
        plan = read_plan(Path("configs/sweep") / name)
        trials = [*write_trials(plan.singles, tmp_path), *write_trials(plan.students, tmp_path, teacher=Path("e.json"))]
        configs = [load_config(t.config_file) for t in trials]
        return configs, {
            (c.model, c.optimizer, c.ferplus_share, c.distillation is not None and c.distillation.cached)
            for c in configs
        }

    tiny, tiny_kinds = kinds("tiny.yaml")
    _, gpu_kinds = kinds("gpu.yaml")
    assert tiny_kinds >= gpu_kinds
    assert {(c.num_epochs, c.image_size, c.compile) for c in tiny} == {(1, 16, False)}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ensemble": {"size": 2, "after_shar": 0.5}}, "ensemble.after_shar: Extra inputs are not permitted"),
        ({"ensemble": {"size": 2, "after_share": 1.5}}, "ensemble.after_share: expected less than 1"),
        ({"jobs": 0}, "jobs: expected at least 1"),
        ({"singles": []}, "singles: "),
        ({"students": [{"config": "net.yaml", "seeds": [3, 3]}]}, "two runs of the name net-3; give one entry another"),
        ({"ensemble": None}, "students learn from the ensemble, and the plan has none; add `ensemble: {size: 2}`"),
    ],
)
def test_plan_that_cannot_be_used_is_told_with_its_mend(write, changes, told):
    with pytest.raises(ConfigError, match=r"Fix: keys as in configs/sweep/gpu\.yaml") as info:
        read_plan(write(**changes))
    assert told in str(info.value)


def test_keys_without_a_value_are_no_ensemble_and_no_students(write):
    plan = read_plan(write(ensemble=None, students=None))
    assert plan.ensemble is None
    assert plan.students == ()


def test_plan_that_is_no_yaml_is_told(tmp_path):
    (tmp_path / "plan.yaml").write_text("jobs: [")
    with pytest.raises(ConfigError, match=r"plan\.yaml.*(Fix: that line; s|S)hipped configs: configs/sweep/\*\.yaml"):
        read_plan(tmp_path / "plan.yaml")


def test_setting_that_fer_train_refuses_is_told_before_anything_runs(tmp_path, write):
    base = str(tmp_path / "net.yaml")
    plan = read_plan(write(singles=[{"config": base, "seeds": [1], "set": {"learning_rat": 1.0}}]))
    with pytest.raises(ConfigError, match="plan, net-1: unknown key 'learning_rat'; did you mean 'learning_rate'"):
        write_trials(plan.singles, tmp_path)


@pytest.fixture
def trial(tmp_path, write):
    """Return a function that gives the single run of a plan with these settings."""

    def made(**settings):
        singles = [{"config": str(tmp_path / "net.yaml"), "seeds": [1], "set": settings}]
        [found] = write_trials(read_plan(write(singles=singles)).singles, tmp_path / "out")
        return found

    return made


FERPLUS = {"labels": "ferplus", "num_classes": 8}
ALONE = {"distillation": {"teachers": ["a.safetensors"], "weight": 1.0}}


@pytest.mark.parametrize(
    ("settings", "needs_votes", "recalibrates"),
    [
        ({}, False, True),
        ({"ferplus_share": 0.3}, True, True),
        (FERPLUS, True, False),
        (FERPLUS | ALONE, True, False),  # learns from teachers alone, but its release is measured against the votes
        (ALONE, False, True),
        ({"quantization_aware": True}, False, False),
    ],
)
def test_votes_and_batch_norm_of_a_run_follow_from_its_config(trial, settings, needs_votes, recalibrates):
    made = trial(**settings)
    assert (made.needs_votes, made.recalibrates) == (needs_votes, recalibrates)


def begin(trial, **changes):
    """Write the files of a run that has finished an epoch."""
    settings = trial.config.model_dump(mode="json") | changes
    (trial.out / "config.yaml").write_text(yaml.safe_dump(settings))
    (trial.out / "last.pt").touch()


def test_plan_that_changed_a_run_since_its_beginning_is_refused(tmp_path, trial):
    made = trial(learning_rate=0.2)
    begin(made)
    before = made.config_file.read_text()
    with pytest.raises(ConfigError) as info:
        trial(learning_rate=0.3, batch_size=64)
    assert str(info.value) == (
        "net-1 began with other settings than the plan has: batch_size was 128 and is 64, learning_rate was 0.2 and is "
        f"0.3. Fix: the settings of then; or another `name` for this entry; or delete {tmp_path / 'out' / 'net-1'} to "
        "train it again"
    )
    assert made.config_file.read_text() == before


def test_run_without_a_finished_epoch_may_change(trial):
    made = trial(learning_rate=0.2)
    begin(made)
    (made.out / "last.pt").unlink()
    assert trial(learning_rate=0.3).config.learning_rate == 0.3


def test_another_device_or_another_spelling_of_a_path_changes_no_run(tmp_path, trial, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begin(trial(init=str(tmp_path / "a.safetensors")), device="cpu", init="a.safetensors")
    assert trial(init=str(tmp_path / "a.safetensors"), device="auto").config.device == "auto"


def test_teacher_is_spelled_the_same_however_out_is_typed(tmp_path, write, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = read_plan(write())
    for teacher in (tmp_path / "out" / "ensemble.json", Path("out/../out/ensemble.json")):
        [student] = write_trials(plan.students, tmp_path / "out", teacher=teacher)
        assert student.config.distillation.teachers == ("out/ensemble.json",)
