import json
import logging

import pytest

from fer_deploy.artifacts import bundled_model, file_sha256
from fer_deploy.engines import best as best_module
from fer_deploy.engines import open_engine
from fer_deploy.engines.best import Best, Entry, Fingerprint, choose_best, read_best
from fer_deploy.engines.config import EngineChoice
from fer_deploy.errors import ArtifactError, ConfigError
from fer_deploy.recognizer import Recognizer

MODEL = bundled_model()


def entry(folder, file="net-fp16.onnx", **changes) -> Entry:
    fields = {
        "file": file,
        "sha256": file_sha256(folder / file),
        "device": "cpu",
        "threads": 1,
        "spinning": False,
        "engine": "ONNX Runtime, 1 thread",
        "batch": 8,
        "p50_ms": 1.0,
        "p99_ms": 2.0,
        "per_s": 900.0,
        "is_stable": True,
        "is_usable": True,
        "verdict": "best",
    }
    return Entry.model_validate({**fields, **changes})


def best_of(workers, single=(), **changes) -> Best:
    fields = {
        "goal": "latency",
        "latency_budget_ms": None,
        "max_accuracy_drop": 1.0,
        "measured": "2026-11-29T06:00:00+00:00",
        "version": "1.0",
        "is_quick": False,
        "fingerprint": Fingerprint.of_this_machine(),
        "uses": {"single": tuple(single) or tuple(workers), "workers": tuple(workers)},
    }
    return Best.model_validate({**fields, **changes})


@pytest.fixture
def folder(tmp_path):
    """Two files with the same model, one of them the best."""
    folder = tmp_path / "net"
    folder.mkdir()
    for name in ("net-fp16.onnx", "net-int8-cpu.onnx"):
        (folder / name).write_bytes(MODEL.read_bytes())
    return folder


@pytest.fixture
def write(folder):
    def write(*entries, **changes):
        (folder / "best.json").write_bytes(best_of(entries, **changes).to_bytes())

    return write


class TestChoice:
    def test_the_first_usable_entry_is_taken(self, folder, write):
        write(entry(folder, is_usable=False), entry(folder, "net-int8-cpu.onnx"))
        chosen = choose_best(folder, threads=1)
        assert (chosen.path, chosen.threads) == (folder / "net-int8-cpu.onnx", 1)
        assert chosen.line == (
            f"best of {folder} for latency with a worker on each core, one thread a call, measured 2026-11-29"
        )

    def test_one_thread_is_for_workers_and_none_for_a_call_alone(self, folder, write):
        alone = entry(folder, "net-int8-cpu.onnx", threads=2, spinning=True)
        write(entry(folder), single=[alone])
        assert choose_best(folder, threads=1).path.name == "net-fp16.onnx"
        chosen = choose_best(folder)
        assert (chosen.path.name, chosen.threads, chosen.spinning) == ("net-int8-cpu.onnx", 2, True)

    def test_a_given_number_of_threads(self, folder, write):
        write(entry(folder), single=[entry(folder, threads=4), entry(folder, threads=2)])
        assert choose_best(folder, threads=2).threads == 2
        with pytest.raises(
            ConfigError,
            match=r'no model for device auto with 3 threads; .*Fix: device="auto" \(--device auto\), or fer',
        ):
            choose_best(folder, threads=3)

    def test_nothing_usable(self, folder, write):
        write(entry(folder, is_usable=False))
        with pytest.raises(
            ArtifactError, match=rf"holds its limits. Fix: fer-deploy bench {folder}, with wider limits"
        ):
            choose_best(folder)

    def test_a_given_device(self, folder, write):
        write(entry(folder), entry(folder, "net-int8-cpu.onnx", device="cuda", threads=None))
        assert choose_best(folder, device="cuda", threads=1).path.name == "net-int8-cpu.onnx"
        with pytest.raises(ConfigError, match=r"no model for device tensorrt; it has some for device cpu, cuda"):
            choose_best(folder, device="tensorrt", threads=1)


class TestRefusals:
    def test_a_folder_without_best_json_names_the_command(self, folder):
        with pytest.raises(ArtifactError, match=rf"without best.json, .*Fix: fer-deploy bench {folder}; or name one"):
            open_engine(folder)

    def test_no_such_folder(self, tmp_path):
        with pytest.raises(ArtifactError, match=r"no folder .*Fix: fer-deploy export --checkpoint CHECKPOINT --out"):
            read_best(tmp_path / "a" / "best.json", tmp_path / "a")

    def test_a_changed_file(self, folder, write):
        write(entry(folder))
        (folder / "net-fp16.onnx").write_bytes(MODEL.read_bytes() + b"\x00")
        with pytest.raises(ArtifactError, match=rf"its SHA-256 differs. Fix: fer-deploy bench {folder}"):
            choose_best(folder)

    def test_a_missing_file(self, folder, write):
        write(entry(folder))
        (folder / "net-fp16.onnx").unlink()
        with pytest.raises(ArtifactError, match=rf"no model at .*Fix: fer-deploy bench {folder}, or copy net-fp16"):
            choose_best(folder)

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": "fer-best-2"}'])
    def test_a_file_of_another_kind(self, folder, content):
        (folder / "best.json").write_bytes(content)
        with pytest.raises(ArtifactError, match=rf"is not a result of fer-deploy bench .*bench {folder}$"):
            choose_best(folder)

    def test_a_file_that_is_too_large(self, folder, write, monkeypatch):
        write(entry(folder))
        monkeypatch.setattr(best_module, "MAX_BEST_BYTES", 10)
        with pytest.raises(ArtifactError, match="larger than 10 bytes"):
            choose_best(folder)

    @pytest.mark.parametrize("name", ["../other.onnx", "/etc/passwd", "..", ""])
    def test_a_path_out_of_the_folder(self, folder, write, name):
        write(entry(folder))
        content = json.loads((folder / "best.json").read_text())
        content["uses"]["workers"][0]["file"] = name
        (folder / "best.json").write_text(json.dumps(content))
        with pytest.raises(ArtifactError, match=rf"'{name}' is not a file name"):
            choose_best(folder)

    def test_the_command_quotes_a_folder_with_spaces(self, tmp_path):
        folder = tmp_path / "my models"
        with pytest.raises(ArtifactError, match=rf"--out '{folder}'$"):
            read_best(folder / "best.json", folder)
        folder.mkdir()
        with pytest.raises(ArtifactError, match=rf"Fix: fer-deploy bench '{folder}'; or"):
            open_engine(folder)


class TestAnotherMachine:
    def test_it_is_a_warning_with_the_command(self, folder, write, caplog):
        here = Fingerprint.of_this_machine()
        write(entry(folder), fingerprint=here.model_copy(update={"cpu": "Other CPU", "cores": 64}))
        with caplog.at_level(logging.WARNING):
            assert choose_best(folder).path.name == "net-fp16.onnx"
        (record,) = caplog.records
        text = record.getMessage()
        assert f"CPU: {here.cpu}, measured: Other CPU; cores: {here.cores}, measured: 64" in text
        assert text.endswith(f"Fix: fer-deploy bench {folder}")

    @pytest.mark.parametrize(
        ("device", "there", "taken"),
        [
            ("cuda", {"gpus": ("NVIDIA A",)}, "net-int8-cpu.onnx"),
            ("cuda", {"gpus": ()}, "net-fp16.onnx"),  # no machine's driver tells its GPU
            ("openvino", {"runtimes": {"openvino": "1", "onnxruntime": "1"}}, "net-int8-cpu.onnx"),
        ],
    )
    def test_what_this_machine_lacks_is_passed_over(self, folder, write, monkeypatch, device, there, taken):
        other = Fingerprint.of_this_machine().model_copy(update=there)
        here = other.model_copy(update={"cpu": "Other CPU", "gpus": (), "runtimes": {"onnxruntime": "1"}})
        monkeypatch.setattr(Fingerprint, "of_this_machine", lambda: here)
        write(entry(folder, device=device), entry(folder, "net-int8-cpu.onnx"), fingerprint=other)
        assert choose_best(folder, threads=1).path.name == taken
        assert choose_best(folder, device=device, threads=1).path.name == "net-fp16.onnx"

    def test_the_number_of_cores_does_not_matter_to_workers(self, folder, write, caplog):
        here = Fingerprint.of_this_machine()
        write(entry(folder), fingerprint=here.model_copy(update={"cores": 64}))
        with caplog.at_level(logging.WARNING):
            choose_best(folder, threads=1)
        assert caplog.records == []

    def test_the_same_machine_is_silent(self, folder, write, caplog):
        write(entry(folder))
        with caplog.at_level(logging.WARNING):
            choose_best(folder)
        assert caplog.records == []

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"runtimes": {"onnxruntime": "1.0"}}, "runtimes: "),
            ({"gpus": ("NVIDIA Other",)}, "GPUs: none, measured: NVIDIA Other"),
            ({"features": ("amx_int8",)}, "CPU features: "),
        ],
    )
    def test_what_else_makes_it_another_machine(self, change, text):
        here = Fingerprint.of_this_machine().model_copy(update={"gpus": ()})
        assert text in "; ".join(here.model_copy(update=change).differences(here)).replace("none, measured: none", "")
        assert here.differences(here) == []

    def test_gpus_are_those_that_the_driver_lists(self, tmp_path):
        for number, name in enumerate(("NVIDIA B", "NVIDIA A")):
            (tmp_path / f"0000:0{number}").mkdir()
            (tmp_path / f"0000:0{number}" / "information").write_text(f"Model: \t {name}\nIRQ: 1\n")
        assert best_module._gpus(tmp_path) == ("NVIDIA B", "NVIDIA A")
        assert best_module._gpus(tmp_path / "none") == ()


class TestUse:
    def test_open_engine_takes_the_settings(self, folder, write):
        write(entry(folder), single=[entry(folder, "net-int8-cpu.onnx", threads=1, spinning=True)])
        with open_engine(folder) as engine:
            assert (engine.settings["threads"], engine.settings["spinning"]) == ("1", "1")
        with open_engine(folder, threads=1) as engine:
            assert engine.settings["spinning"] == "0"

    def test_the_choice_of_live_and_analyze(self, folder, write):
        write(entry(folder))
        choice = EngineChoice(engine=folder)
        assert choice.engine_file == folder / "net-fp16.onnx"
        assert choice.choice_line.startswith(f"best of {folder}")
        assert folder / "best.json" in choice.model_files()
        with choice.open() as engine:
            assert engine.settings["threads"] == "1"

    def test_a_file_has_no_line(self, folder):
        choice = EngineChoice(engine=folder / "net-fp16.onnx")
        assert (choice.engine_file, choice.choice_line) == (folder / "net-fp16.onnx", "")
        assert [path.name for path in choice.model_files()] == ["net-fp16.onnx", "net-fp16.onnx.json"]
        assert EngineChoice().model_files() == []

    def test_the_recognizer_takes_a_folder_and_says_so(self, folder, write):
        write(entry(folder))
        with Recognizer(engine=str(folder), detector="haar") as recognizer:
            assert recognizer.description.endswith(
                f", fp16; best of {folder} for latency with a worker on each core, "
                "one thread a call, measured 2026-11-29"
            )
