"""Training that is stopped by a signal, a full disk or the end of memory."""

import errno
import os
import signal

import pytest
from unit.fer_train.cli.train.train_cases import run

from fer_train.checkpoint import load_state


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
    words = (
        ["crossval", *flags(num_epochs=1), "--folds", 2]
        if command == "crossval"
        else ["train", *flags(num_epochs=1), "--seeds", "0,1"]
    )
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
