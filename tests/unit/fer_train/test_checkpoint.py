import errno
import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from unit.fer_train.synthetic_faces import PLAIN_INPUT

from fer_train.checkpoint import SPEC_KEY, load_release, load_state, read_spec_json, save_release, save_state
from fer_train.errors import CheckpointError
from fer_train.files.durable import write_atomically
from fer_train.models import build_model

pytestmark = pytest.mark.usefixtures("narrow_net")
SPEC = {
    "architecture": "net",
    "labels": ["a", "b", "c"],
    "input": PLAIN_INPUT,
    "metrics": {},
    "provenance": {},
}


@pytest.fixture
def model():
    torch.manual_seed(3)
    return build_model("net", num_classes=3).eval()


@pytest.fixture
def release(tmp_path, model):
    path = tmp_path / "net.safetensors"
    save_release(path, model, SPEC)
    return path


def names_in(folder):
    return sorted(p.name for p in folder.iterdir())


def test_write_makes_the_folder_and_replaces_the_file(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    for text in ("one", "two"):
        write_atomically(path, lambda temporary, text=text: temporary.write_text(text))
        assert path.read_text() == text
    assert names_in(path.parent) == ["a.txt"]


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), CheckpointError),
        (RuntimeError("PytorchStreamWriter failed writing file"), CheckpointError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (ValueError("a bug"), ValueError),
    ],
)
def test_failed_write_keeps_the_old_content_and_leaves_no_temporary(tmp_path, error, seen):
    path = tmp_path / "last.pt"
    path.write_text("old")

    def half(temporary):
        temporary.write_text("ne")
        raise error

    with pytest.raises(seen) as caught:
        write_atomically(path, half)
    if seen is CheckpointError:
        assert str(caught.value) == (
            f"cannot write {path}: {error}. What was there before is untouched. Fix: free space there, then the "
            "same command (with --resume where it trains); or --out on another disk"
        )
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["last.pt"]


def test_the_file_is_flushed_to_disk_before_it_is_renamed(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"

    def full(_):
        assert not path.exists()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write_atomically(path, lambda temporary: temporary.write_text("new"))
    assert names_in(tmp_path) == []


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(CheckpointError, match=r"cannot write .*Fix: choose another --out, one that can be written"):
        write_atomically(tmp_path / "out" / "a.txt", lambda temporary: temporary.write_text("new"))


@pytest.mark.parametrize("save", ["state", "release"])
def test_full_disk_while_saving(tmp_path, model, monkeypatch, save):
    def full(path, *_):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("torch.save", lambda state, path: full(path))
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    write = {"state": lambda p: save_state(p, {}), "release": lambda p: save_release(p, model, SPEC)}[save]
    with pytest.raises(CheckpointError, match="No space left on device"):
        write(tmp_path / "file")
    assert names_in(tmp_path) == []


def test_state_comes_back_as_it_was(tmp_path):
    state = {"epoch": 3, "model": {"w": torch.randn(2, 3)}, "history": [{"loss": 0.5}], "ema": None}
    save_state(tmp_path / "last.pt", state)
    loaded = load_state(tmp_path / "last.pt")
    assert torch.equal(loaded["model"]["w"], state["model"]["w"])
    assert (loaded["epoch"], loaded["history"], loaded["ema"]) == (3, [{"loss": 0.5}], None)


def test_missing_state(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint to resume at"):
        load_state(tmp_path / "last.pt")


@pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
def test_truncated_state(tmp_path, keep):
    path = tmp_path / "last.pt"
    save_state(path, {"model": {"w": torch.randn(50, 50)}})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(
        CheckpointError, match=r"cannot load .*last\.pt: truncated or not a training state \(.*Fix: a backup"
    ):
        load_state(path)


class Payload:
    """Would write a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("write", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o, protocol=2))])
def test_pickle_with_an_arbitrary_object_is_refused_and_not_run(tmp_path, write):
    write({"format": "fer-train-state-1", "model": Payload(tmp_path / "harm")}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="not a training state"):
        load_state(tmp_path / "last.pt")
    assert names_in(tmp_path) == ["last.pt"]


@pytest.mark.parametrize("content", [{"model": {}}, [1, 2], {"format": "other"}])
def test_foreign_torch_file(tmp_path, content):
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"is a PyTorch file but not a training state of fer-train\. Fix: a b"):
        load_state(tmp_path / "last.pt")


def test_release_gives_back_the_same_logits_in_eval_mode(release, model):
    loaded, spec = load_release(release)
    assert spec == SPEC == json.loads(read_spec_json(release))
    assert not loaded.training
    x = torch.randn(2, 1, 48, 48)
    assert torch.equal(loaded(x), model(x))


def test_fp16_release_loads_as_fp32(tmp_path, model):
    path = tmp_path / "half.safetensors"
    save_release(path, model, SPEC, torch.float16)
    stored = load_file(path)
    assert {t.dtype for t in stored.values()} == {torch.float16, torch.int64}
    loaded, _ = load_release(path)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    for name, value in model.half().state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.float() if value.is_floating_point() else value)


def test_channels_last_weights_are_released(tmp_path, model):
    save_release(tmp_path / "m.safetensors", model.to(memory_format=torch.channels_last), SPEC)
    loaded, _ = load_release(tmp_path / "m.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True))


@pytest.mark.parametrize("read", [load_release, read_spec_json])
@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_truncated_release(release, read, keep):
    release.write_bytes(release.read_bytes()[:keep])
    with pytest.raises(
        CheckpointError, match=r"truncated or not a safetensors file \(.*Fix: copy or download it again"
    ):
        read(release)


@pytest.mark.parametrize("read", [load_release, read_spec_json])
def test_missing_release_names_the_command_that_makes_one(tmp_path, read):
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*Fix: fer-train train, or use weights/net"):
        read(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("suffix", [".onnx", ".plan", ".pt", ".json", ""])
def test_a_release_is_known_by_its_bytes_and_not_by_its_name(release, suffix):
    renamed = release.rename(release.with_name(f"wrong{suffix}"))
    assert load_release(renamed)[1] == SPEC


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_foreign_safetensors_have_no_spec(tmp_path, metadata):
    save_file({"w": torch.zeros(2)}, tmp_path / "w.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match=r"without a ModelSpec; it was not released by fer-train\. Fix: "):
        load_release(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "spec_json",
    [
        pytest.param(json.dumps(SPEC | {"labels": ["a", "b"]}), id="number of labels"),
        pytest.param(json.dumps(SPEC | {"architecture": "senet"}), id="architecture"),
        pytest.param(json.dumps(SPEC | {"architecture": "resnet"}), id="unknown architecture"),
        pytest.param(json.dumps({"labels": ["a"]}), id="no architecture"),
        pytest.param("[1, 2]", id="a list"),
        pytest.param("{half", id="no JSON"),
    ],
)
def test_spec_and_weights_that_do_not_fit(tmp_path, model: nn.Module, spec_json):
    path = tmp_path / "m.safetensors"
    save_file(model.state_dict(), path, metadata={SPEC_KEY: spec_json})
    with pytest.raises(CheckpointError, match=r"m\.safetensors: weights and ModelSpec do not fit each other \(.*Fix: "):
        load_release(path)
