"""The commands that train: train, distill and crossval, and how they end when they are stopped."""

import errno
import hashlib
import json
import os
import signal

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from unit.fer_train.synthetic_faces import make_faces, tiny_config, write_csv, write_votes

from fer_train.checkpoint import load_release, load_state, read_spec_json, save_release
from fer_train.cli import main

pytestmark = pytest.mark.usefixtures("narrow_net")
TRAIN_COMMANDS = ("train", "distill", "crossval")


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Leave history.png out: it takes longer than the run. test_cli.py has it."""
    monkeypatch.setattr("fer_train.training.session.plot_history", lambda *_: None)
    monkeypatch.setattr("fer_train.training.session._plot_final", lambda *_: None)


@pytest.fixture(autouse=True)
def same_handler():
    """Signals do what they do in a terminal: the background of a shell ignores SIGINT, and nohup ignores SIGHUP."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("data") / "fer2013.csv", make_faces())


@pytest.fixture
def flags(tmp_path, data):
    """Return the flags of a tiny run into tmp_path/out."""

    def with_config(**changes):
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(tiny_config(**({"num_epochs": 2} | changes)).model_dump(mode="json")))
        return ["--config", path, "--data", data, "--out", tmp_path / "out", "--no-tensorboard"]

    return with_config


@pytest.fixture
def teacher(tmp_path, flags):
    run("train", *flags(num_epochs=1), "--out", tmp_path / "teacher")
    return tmp_path / "teacher" / "best.safetensors"


def spec_of(out):
    return json.loads(read_spec_json(out / "best.safetensors"))


def test_history_is_written_as_json_too(tmp_path, flags):
    run("train", *flags())
    assert (
        json.loads((tmp_path / "out" / "history.json").read_text())
        == load_state(tmp_path / "out" / "last.pt")["history"]
    )
    assert not (tmp_path / "out" / "tensorboard").exists()


def test_seeds_are_trained_and_their_spread_is_printed(tmp_path, flags):
    result = run("train", *flags(), "--seeds", "0..1")
    summary = json.loads((tmp_path / "out" / "seeds.json").read_text())
    mean, sd = summary["mean"]["accuracy"], summary["sd"]["accuracy"]
    assert f"mean │   {mean:.4f} │" in result.stdout
    assert f"± sd │   {sd:.4f} │" in result.stdout
    assert "last epoch" in result.stdout
    assert [row["seed"] for row in summary["runs"]] == [0, 1]


def test_bad_seeds_exit_with_2(tmp_path, flags):
    result = run("train", *flags(), "--seeds", "0-4", code=2)
    assert "error: --seeds '0-4' is not a list of different seeds. Fix: --seeds 0..4" in result.stderr
    assert not (tmp_path / "out").exists()


def test_excluded_rows_do_not_train(tmp_path, flags, caplog):
    caplog.set_level("INFO")
    (tmp_path / "exclude.csv").write_text("row,reason\n0,twin\n3,not a face\n70,of PublicTest\n")
    (tmp_path / "twins.txt").write_text("5\n")  # means nothing to the official protocol
    run("train", *flags(num_epochs=1), "--exclude", tmp_path / "exclude.csv", "--twin-rows", tmp_path / "twins.txt")
    provenance = spec_of(tmp_path / "out")["provenance"]
    assert provenance["num_faces"] == {"Training": 62, "PublicTest": 21}
    digest = hashlib.sha256((tmp_path / "exclude.csv").read_bytes()).hexdigest()
    assert provenance["row_lists"] == [
        {"flag": "--exclude", "file": "exclude.csv", "sha256": digest, "num_rows": 2},
    ]  # fmt: skip
    assert "official protocol leaves out 2 rows" in caplog.text
    assert "--twin-rows is not used: the protocol is official" in caplog.text


def test_resuming_with_other_exclusions_is_refused_with_the_mend(tmp_path, flags):
    run("train", *flags(num_epochs=1))
    (tmp_path / "exclude.txt").write_text("0\n")
    result = run("train", *flags(num_epochs=1), "--resume", "--exclude", tmp_path / "exclude.txt", code=4)
    assert "Fix: the same --data, --twin-rows, --exclude and protocol as then" in result.stderr


def test_lists_of_the_clean_protocol_are_recorded_in_every_run_and_on_resuming(tmp_path, flags):
    (tmp_path / "twins.txt").write_text("5\n6\n")
    (tmp_path / "exclude.txt").write_text("6\n")
    words = ["--twin-rows", tmp_path / "twins.txt", "--exclude", tmp_path / "exclude.txt"]
    run("crossval", *flags(num_epochs=1, protocol="clean"), *words, "--folds", 2)
    run("train", *flags(num_epochs=1, protocol="clean"), *words, "--out", tmp_path / "single")
    run("train", *flags(num_epochs=1, protocol="clean"), *words, "--out", tmp_path / "single", "--resume")
    for folder in ("out/fold-0", "out/fold-1", "single"):
        lists = spec_of(tmp_path / folder)["provenance"]["row_lists"]
        assert [(row["flag"], row["file"], row["num_rows"]) for row in lists] == [
            ("--twin-rows", "twins.txt", 2), ("--exclude", "exclude.txt", 1),
        ]  # fmt: skip


def test_run_of_a_version_that_recorded_no_lists_resumes_and_is_started_from(tmp_path, flags):
    run("train", *flags(num_epochs=1))
    best, old = tmp_path / "out" / "best.safetensors", tmp_path / "old.safetensors"
    model, spec = load_release(best)
    del spec["provenance"]["row_lists"]
    save_release(best, model, spec)
    save_release(old, model, spec)
    run("train", *flags(num_epochs=1), "--resume")
    run("train", *flags(num_epochs=1), "--init", old, "--out", tmp_path / "tuned")
    provenance = spec_of(tmp_path / "tuned")["provenance"]
    assert provenance["row_lists"] == []
    assert "row_lists" not in provenance["init"]


def test_crossval_writes_predictions_of_unseen_faces_and_says_where(tmp_path, flags):
    result = run("crossval", *flags(num_epochs=1), "--folds", 2)
    out = tmp_path / "out"
    assert sorted(p.name for p in out.iterdir()) == ["crossval.json", "fold-0", "fold-1", "out_of_fold.npz"]
    with np.load(out / "out_of_fold.npz") as stored:
        assert stored["probs"].shape == (64, 7)
    assert "± sd │" in result.stdout
    assert f"{out / 'out_of_fold.npz'}" in result.stdout.replace("\n", "")


def test_too_many_folds_exit_with_2(flags):
    result = run("crossval", *flags(), "--folds", 10, code=2)
    assert "error: --folds is 10; it must be from 2 to 9, the number of faces of the rarest class" in result.stderr


def test_distill_takes_its_settings_from_flags_over_the_config(tmp_path, flags, teacher):
    written = {"teachers": ["another.safetensors"], "weight": 0.9, "temperature": 3.0, "cached": True}
    run(
        "distill",
        *flags(num_epochs=1, distillation=written),
        "--teacher",
        teacher,
        "--teacher-weight",
        0.25,
        "--each-batch",
    )
    provenance = spec_of(tmp_path / "out")["provenance"]
    assert provenance["config"]["distillation"] == {
        "teachers": ["best.safetensors"], "weight": 0.25, "temperature": 3.0, "cached": False,
    }  # fmt: skip
    assert [row["path"] for row in provenance["teachers"]] == ["best.safetensors"]


def test_distilled_run_resumes(tmp_path, flags, teacher):
    command = ["distill", *flags(), "--teacher", teacher, "--cached"]
    run(*command)
    run(*command, "--resume")
    assert load_state(tmp_path / "out" / "last.pt")["epoch"] == 2


def test_teacher_of_other_labels_exits_with_2(tmp_path, flags, teacher):
    model, spec = load_release(teacher)
    moods = [f"mood_{number}" for number in range(7)]
    save_release(tmp_path / "moods.safetensors", model, spec | {"labels": moods})
    result = run("distill", *flags(), "--teacher", tmp_path / "moods.safetensors", code=2)
    assert f"error: teacher {tmp_path / 'moods.safetensors'} knows the labels mood_0, mood_1" in result.stderr
    assert not (tmp_path / "out").exists()


def signal_once(monkeypatch, target, number, *, at_call):
    """Send this process a signal in the given call of a function, counted from 1; once."""
    calls = []
    module, name = target.rsplit(".", 1)
    real = getattr(__import__("importlib").import_module(module), name)

    def call(*args, **kwargs):
        calls.append(args)
        if len(calls) == at_call:
            os.kill(os.getpid(), number)
        return real(*args, **kwargs)

    monkeypatch.setattr(target, call)


ENDS = [
    (signal.SIGTERM, 143, "stopped by SIGTERM"),
    (signal.SIGINT, 130, "stopped"),
    (signal.SIGHUP, 129, "stopped by SIGHUP"),
]


@pytest.mark.parametrize(("number", "code", "word"), ENDS, ids=["SIGTERM", "Ctrl-C", "SIGHUP"])
@pytest.mark.parametrize(
    ("target", "at_call", "epochs"),
    [
        pytest.param("fer_train.training.loop.train_step", 6, 1, id="in a step"),
        pytest.param("fer_train.training.loop._validate", 2, 1, id="in validation"),
        pytest.param("fer_train.training.loop.save_state", 2, 1, id="before last.pt is written"),
        pytest.param("torch.save", 2, 1, id="while last.pt is written"),
    ],
)
def test_stopped_run_says_last_how_to_go_on_and_ends_as_if_it_had_not_been(
    tmp_path, flags, monkeypatch, number, code, word, target, at_call, epochs
):
    command = ["train", *flags(num_epochs=2)]
    with monkeypatch.context() as patch:
        signal_once(patch, target, number, at_call=at_call)
        result = run(*command, code=code)
    out = tmp_path / "out"
    last_line = result.stderr.strip().splitlines()[-1]
    how = "the same command and --resume (make does so by itself)"
    assert last_line == f"{word}; go on with {how}: finished epochs are in {out}"
    assert load_state(out / "last.pt")["epoch"] == epochs
    assert not list(out.glob(".*.tmp"))
    run(*command, "--resume")
    assert load_state(out / "last.pt")["epoch"] == 2


def test_run_stopped_before_an_epoch_was_finished_says_so(flags, monkeypatch):
    signal_once(monkeypatch, "fer_train.training.loop.train_step", signal.SIGTERM, at_call=2)
    result = run("train", *flags(), code=143)
    assert result.stderr.strip().splitlines()[-1] == "stopped by SIGTERM; no epoch was finished: start it again"


def test_sigterm_while_the_data_are_read(flags, monkeypatch):
    signal_once(monkeypatch, "fer_train.cli.training_inputs.read_faces", signal.SIGTERM, at_call=1)
    assert run("train", *flags(), code=143).stderr.strip().splitlines()[-1] == "stopped by SIGTERM"


@pytest.mark.parametrize("command", ["seeds", "crossval"])
def test_stopped_series_goes_on_with_the_same_command(tmp_path, flags, monkeypatch, command):
    words = ["crossval", *flags(num_epochs=1), "--folds", 2] if command == "crossval" else [
        "train", *flags(num_epochs=1), "--seeds", "0,1"]  # fmt: skip
    with monkeypatch.context() as patch:
        signal_once(patch, "fer_train.training.loop._validate", signal.SIGTERM, at_call=2)
        result = run(*words, code=143)
    expected = f"stopped by SIGTERM; go on with the same command: finished epochs are in {tmp_path / 'out'}"
    assert result.stderr.strip().splitlines()[-1] == expected
    assert "± sd │" in run(*words).stdout


def test_memory_that_ends_exits_with_10(tmp_path, flags, monkeypatch):
    def end(*_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr("fer_train.training.loop.train_step", end)
    result = run("train", *flags(), code=10)
    assert "error: out of memory with batch_size 16: [enforce fail]" in result.stderr
    assert "Fix: a smaller batch_size" in result.stderr


@pytest.mark.parametrize("tensorboard", [True, False])
def test_full_disk_exits_with_4_and_says_what_could_not_be_written(tmp_path, flags, monkeypatch, tensorboard):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    words = ["--tensorboard"] if tensorboard else []
    result = run("train", *flags(), *words, code=4)
    assert "No space left on device" in result.stderr
    assert "cannot write" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's own thread ends
def test_disk_that_is_full_for_tensorboard_alone_does_not_end_the_run(tmp_path, flags, monkeypatch, caplog):
    from tensorboard.summary.writer.record_writer import RecordWriter  # noqa: PLC0415

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RecordWriter, "write", full)
    run("train", *flags(), "--tensorboard")
    assert load_state(tmp_path / "out" / "last.pt")["epoch"] == 2
    assert "TensorBoard" in caplog.text
    assert "No space left on device" in caplog.text


@pytest.mark.parametrize("command", TRAIN_COMMANDS)
def test_every_training_command_has_the_same_flags(command):
    text = run(command, "--help").stdout
    for flag in ("--config", "--data", "--ferplus", "--twin-rows", "--exclude", "--out", "--epochs", "--device",
                 "--validation-split", "--tensorboard"):  # fmt: skip
        assert flag in text


def test_lists_that_have_no_effect_are_refused(tmp_path, flags):
    (tmp_path / "rows.txt").write_text("9999\n")
    (tmp_path / "all.txt").write_text("\n".join(map(str, range(64))))
    (tmp_path / "none.txt").write_text("# audit found nothing\n")
    result = run("train", *flags(), "--exclude", tmp_path / "rows.txt", code=4)
    assert "rows.txt names none of the 64 rows of Training. Fix: the list that was made for" in result.stderr
    result = run("train", *flags(), "--exclude", tmp_path / "all.txt", code=4)
    assert "all.txt names all of the 64 rows of Training. Fix:" in result.stderr
    run("train", *flags(), "--exclude", tmp_path / "none.txt")


def test_votes_without_a_share_are_left_aside_and_said(tmp_path, flags, caplog):
    usages = ["Training"] * 64 + ["PublicTest"] * 21
    votes = write_votes(tmp_path / "fer2013new.csv", usages, [[1] * 10] * 85)
    run("train", *flags(), "--ferplus", votes)
    assert "--ferplus is not used: ferplus_share is 0." in caplog.text
    run("train", *flags(), "--resume")  # the same data with and without them


def test_what_the_precision_was_is_kept(tmp_path, flags):
    run("train", *flags())
    provenance = spec_of(tmp_path / "out")["provenance"]
    assert (provenance["precision"], provenance["num_processes"]) == ("fp32", 1)
    assert "ferplus_sha256" not in provenance


def test_the_votes_file_is_named_in_the_provenance(tmp_path, flags):
    usages = ["Training"] * 64 + ["PublicTest"] * 21
    votes = write_votes(tmp_path / "fer2013new.csv", usages, [[1] * 10] * 85)
    run("train", *flags(ferplus_share=0.5, ferplus_votes="as_cast"), "--ferplus", votes)
    assert spec_of(tmp_path / "out")["provenance"]["ferplus_sha256"] == hashlib.sha256(votes.read_bytes()).hexdigest()


@pytest.fixture
def many_faces(tmp_path):
    return write_csv(tmp_path / "many.csv", make_faces(Training=700, PublicTest=300, PrivateTest=20))


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


def test_quick_takes_what_the_user_gives_beside_it(tmp_path, flags, many_faces):
    run("train", *flags(), "--data", many_faces, "--quick", "--epochs", 2)
    assert spec_of(tmp_path / "out")["provenance"]["config"]["num_epochs"] == 2


def test_quick_leaves_the_folder_of_the_real_run_alone(tmp_path, flags, many_faces, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for _ in range(2):  # as often as the user likes
        run("train", *flags()[:2], "--data", many_faces, "--no-tensorboard", "--quick")
    assert not (tmp_path / "runs").exists()
    assert len(list(tmp_path.glob("fer-train-tiny-*/final.safetensors"))) == 2


def test_one_epoch_of_a_config_with_phases(tmp_path, flags):
    phases = [{"until_epoch": 12, "image_size": 16}, {"until_epoch": 18, "image_size": 20}]
    run("train", *flags(num_epochs=24, size_phases=phases, image_size=24), "--epochs", 1)
    assert spec_of(tmp_path / "out")["provenance"]["config"]["size_phases"] == []
