from pathlib import Path

import pytest
import yaml
from _sweep_plan import read_plan, write_trials

from fer_train.config_file import load_config
from fer_train.errors import ConfigError


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
            "students": [{"config": str(base), "seeds": [9], "name": "student", "set": {
                "ferplus_share": 0.3, "distillation": {"weight": 0.7},
            }}],
        }  # fmt: skip
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump(content | changes))
        return path

    return written


def test_plan_becomes_one_resolved_config_a_seed(tmp_path, write):
    plan, out = read_plan(write()), tmp_path / "out"
    singles = write_trials(plan.singles, out)
    assert [(t.name, t.seed, t.out.name, t.needs_votes) for t in singles] == [
        ("net", 1, "net-1", False), ("net", 2, "net-2", False),
    ]  # fmt: skip
    assert [(c.learning_rate, c.seed) for c in (load_config(t.config) for t in singles)] == [(0.1, 1), (0.1, 2)]
    [student] = write_trials(plan.students, out, teacher=out / "ensemble.json")
    taught = load_config(student.config).distillation
    assert (taught.weight, taught.teachers) == (0.7, (str(out / "ensemble.json"),))
    assert student.needs_votes


def test_student_takes_the_distillation_of_its_config_where_the_plan_says_nothing(tmp_path, write):
    base = tmp_path / "taught.yaml"
    base.write_text(yaml.safe_dump({"distillation": {"teachers": ["one.safetensors"], "temperature": 4.0}}))
    plan = read_plan(write(students=[{"config": str(base), "seeds": [9]}]))
    [student] = write_trials(plan.students, tmp_path, teacher=Path("ensemble.json"))
    taught = load_config(student.config).distillation
    assert (taught.temperature, taught.teachers) == (4.0, ("ensemble.json",))


def test_shipped_plans_make_configs_that_fer_train_takes(tmp_path, repo_dir, monkeypatch):
    monkeypatch.chdir(repo_dir)
    for path in sorted(Path("configs/sweep").glob("*.yaml")):
        plan = read_plan(path)
        trials = [*write_trials(plan.singles, tmp_path), *write_trials(plan.students, tmp_path, teacher=Path("e.json"))]
        assert [load_config(t.config).seed for t in trials] == [t.seed for t in trials]
        with_votes = {t.label for t in trials if t.needs_votes}
        if path.name == "cpu.yaml":  # days, not a GPU's hour: every run has votes, and the ensemble waits for all
            assert with_votes == {t.label for t in trials}
            assert plan.ensemble.after_share is None
        else:
            assert with_votes == {"net-votes-1"}
            assert plan.ensemble.after_share == 0.55


def test_tiny_plan_has_every_kind_of_run_of_the_gpus_at_an_epoch_and_16_pixels(tmp_path, repo_dir, monkeypatch):
    monkeypatch.chdir(repo_dir)

    def kinds(name):
        plan = read_plan(Path("configs/sweep") / name)
        trials = [*write_trials(plan.singles, tmp_path), *write_trials(plan.students, tmp_path, teacher=Path("e.json"))]
        configs = [load_config(t.config) for t in trials]
        return configs, {
            (c.model, c.optimizer, c.ferplus_share, c.distillation is not None and c.distillation.cached)
            for c in configs
        }  # fmt: skip

    tiny, tiny_kinds = kinds("tiny.yaml")
    _, gpu_kinds = kinds("gpu.yaml")
    assert tiny_kinds >= gpu_kinds
    assert {(c.num_epochs, c.image_size, c.compile) for c in tiny} == {(1, 16, False)}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ensemble": {"size": 2, "after_shar": 0.5}}, "ensemble.after_shar: Extra inputs are not permitted"),
        ({"ensemble": {"size": 2, "after_share": 1.5}}, "ensemble.after_share: Input should be less than 1"),
        ({"jobs": 0}, "jobs: Input should be greater than or equal to 1"),
        ({"students": [{"config": "net.yaml", "seeds": [3, 3]}]}, "two runs of the name net-3; give one entry another"),
    ],
)
def test_plan_that_cannot_be_used_is_told_with_its_mend(write, changes, told):
    with pytest.raises(ConfigError, match=r"Fix: keys as in configs/sweep/gpu\.yaml") as info:
        read_plan(write(**changes))
    assert told in str(info.value)


def test_plan_that_is_no_yaml_is_told(tmp_path):
    (tmp_path / "plan.yaml").write_text("jobs: [")
    with pytest.raises(ConfigError, match=r"plan\.yaml.*(Fix: that line; s|S)hipped configs: configs/sweep/\*\.yaml"):
        read_plan(tmp_path / "plan.yaml")


def test_setting_that_fer_train_refuses_is_told_before_anything_runs(tmp_path, write):
    base = str(tmp_path / "net.yaml")
    plan = read_plan(write(singles=[{"config": base, "seeds": [1], "set": {"learning_rat": 1.0}}]))
    with pytest.raises(ConfigError, match="plan, net-1: unknown key 'learning_rat'; did you mean 'learning_rate'"):
        write_trials(plan.singles, tmp_path)
