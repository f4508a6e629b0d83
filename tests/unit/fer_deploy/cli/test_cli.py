import sys
from importlib import import_module

import cv2
import pytest
from click.testing import CliRunner

import fer_deploy.engines as engines_package
from fer_deploy import __version__
from fer_deploy.cli import COMMANDS, main
from fer_deploy.cli import live as live_module
from fer_deploy.engines import config as engine_config
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.live.sinks.video import sink as video

SYNTHETIC = ["--source", "synthetic", "--no-display", "--max-frames", "2"]


def run(*args: object):
    return CliRunner().invoke(main, [str(arg) for arg in args])


def test_help_lists_every_command():
    result = run("--help")
    assert result.exit_code == 0
    printed = " ".join(result.stdout.split())  # long lines are wrapped
    assert all(f" {name} {text} " in f"{printed} " for name, text in COMMANDS.items())
    assert __version__ in run("--version").stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(name):
    result = run(name, "--help")
    assert result.exit_code == 0
    own = {"demo": "--drawn", "pack": "--checkpoint", "rebuild": "--flavor", "archive": "plan"}
    own |= dict.fromkeys(("doctor", "inspect", "image", "bench", "agree"), "--json")
    assert own.get(name, "--config") in result.stdout


def test_unknown_command():
    result = run("fly")
    assert result.exit_code == 2
    assert "No such command 'fly'" in result.stderr


class TestExitCodes:
    @pytest.mark.parametrize(
        ("args", "code", "text"),
        [
            (
                ["--max-frames", "0"],
                2,
                "error: command line: --max-frames: expected at least",
            ),
            (["--config", "{}/none.yaml"], 2, "error: cannot read config"),
            (["--record", "{}/a.txt"], 2, "known video suffixes are .mp4, .mkv, .avi"),
            (["--device", "tpu"], 2, "'tpu' is not one of"),
            (["--source", "nothing.mp4"], 8, "error: no source 'nothing.mp4'"),
            (["--source", "99"], 8, "error: cannot open camera 99"),
            (["--jsonl", "{}"], 8, "Is a directory. Fix: another --jsonl"),
            (["--record", "{}/file/a.mp4"], 8, "Fix: another --record"),
            (["--jsonl", "-", "--json"], 2, "--json and --jsonl - would both write to standard output. Fix: --jsonl F"),
            (
                ["--serve-token", "long enough"],
                2,
                "serve_token is given, but no page is served. Fix: --serve 8080, or no",
            ),
            (
                ["--serve", "http://0.0.0.0:8080/"],
                2,
                "cannot serve at 'http://0.0.0.0:8080/': expected HOST:PORT without http://. Fix: --serve 0.0.0.0:8080",
            ),
            (["--csv", "-"], 2, "command line: csv cannot go to standard output. Fix: --csv FILE, or --jsonl"),
            (["--csv", "a.parquet"], 2, "csv a.parquet has the suffix of another format. Fix: --parquet a.parquet"),
            (["--source", ""], 2, "command line: --source: a source is empty. Fix: --source 0"),
            (
                ["--detector", "haar", "--min-score", "0.7"],
                2,
                "command line: --min-score is about YuNet, and the detector is",
            ),
            (["--roi", "a"], 2, "line: --roi: expected x1,y1,x2,y2. Fix: --roi 0.25,0,0.75,1 for shares, or --roi 320"),
            (["--model", "fer2013", "--engine", "a.onnx"], 2, "two models. Fix: leave one of --model and --engine out"),
            (
                ["--engine", "fer2013"],
                2,
                "fer2013, which is no file but the name of a bundled model. Fix: --model fer2013\n",
            ),
            (["--source", "-", "--source", "raw:2x2"], 2, "standard input is named 2 times and can be read once. Fix:"),
            (["--source", "0", "--source", "00"], 2, "camera 0 is named 2 times and can be read once. Fix:"),
        ],
    )
    def test_live(self, fake_engine, tmp_path, args, code, text):
        (tmp_path / "file").write_text("x")
        result = run("live", *SYNTHETIC, *(arg.format(tmp_path) for arg in args))
        assert (result.exit_code, result.stdout) == (code, "")
        assert text in result.stderr

    def test_stage_is_named(self, monkeypatch):
        monkeypatch.setattr(engine_config, "open_engine", lambda path, **options: FakeEngine(fail_at_call=0))
        result = run("live", *SYNTHETIC)
        assert result.exit_code == 7
        assert "error [infer]: FakeEngine was told to fail at call 0" in result.stderr

    def test_disk_full(self, fake_engine):
        result = run("live", *SYNTHETIC, "--jsonl", "/dev/full")
        assert result.exit_code == 8
        assert "error [sink]: cannot " in result.stderr
        assert "/dev/full: No space left on device" in result.stderr

    def test_disk_full_before_the_first_frame(self, fake_engine, monkeypatch, tmp_path):
        monkeypatch.setattr(video, "MIN_FREE_BYTES", 2**60)
        result = run("live", *SYNTHETIC, "--record", tmp_path / "a.mp4", "--jsonl", tmp_path / "a.jsonl")
        assert result.exit_code == 8
        assert f"MiB left for {tmp_path / 'a.mp4'}. Fix: free some space" in result.stderr
        assert f"results: {tmp_path / 'a.jsonl'}" in result.stdout
        assert "video: /" not in result.stdout

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("none.onnx", "no model at"),
            ("none.pt", "no model at"),
            ("a.pt", "it is a pickle of PyTorch"),
            ("a.model", "no engine for the suffix '.model'"),
        ],
    )
    def test_bad_engine(self, tmp_path, name, text):
        for present in ("a.pt", "a.model"):
            (tmp_path / present).write_bytes(b"weights")
        result = run("live", *SYNTHETIC, "--engine", tmp_path / name)
        assert result.exit_code == 4
        assert text in result.stderr

    def test_missing_onnxruntime(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        monkeypatch.delitem(sys.modules, "fer_deploy.engines.onnxruntime.engine", raising=False)
        monkeypatch.delattr(engines_package, "onnxruntime", raising=False)
        result = run("live", *SYNTHETIC)
        assert result.exit_code == 3
        assert "onnxruntime is not installed. Fix: pip install 'fer-toolchain[cpu]'" in result.stderr

    def test_export_without_torch(self, monkeypatch):
        import_module("scipy.stats")  # first: it looks into sys.modules for torch and would trip over the None
        monkeypatch.setitem(sys.modules, "torch", None)
        for name in [name for name in sys.modules if name.startswith("fer_deploy.export.")]:
            if name != "fer_deploy.export.config":
                monkeypatch.delitem(sys.modules, name)
        for name in [name for name in sys.modules if name.startswith("fer_train")]:
            monkeypatch.delitem(sys.modules, name)
        result = run("export", "--checkpoint", "a.safetensors", "--out", "o")
        assert result.exit_code == 3
        assert (
            "export needs torch, which is not installed. Fix: pip install 'fer-toolchain[export,cpu]'" in result.stderr
        )

    def test_export_needs_a_checkpoint(self):
        result = run("export", "--out", "o")
        assert result.exit_code == 2
        assert "command line: --checkpoint is missing. Fix: give --checkpoint" in result.stderr


@pytest.mark.parametrize(
    ("flags", "permissions"),
    [
        ([], {"trust_plan": False, "allow_host_code": False}),
        (["--trust-plan"], {"trust_plan": True, "allow_host_code": False}),
        (["--allow-host-code"], {"trust_plan": False, "allow_host_code": True}),
    ],
)
def test_permissions_reach_the_engine(monkeypatch, tmp_path, flags, permissions):
    def opened(path, *, device, threads, **given):
        assert threads == 1  # the workers are as many as the cores
        assert given == permissions
        return FakeEngine()

    monkeypatch.setattr(engine_config, "open_engine", opened)
    assert run("live", *SYNTHETIC, "--engine", tmp_path / "a.plan", *flags).exit_code == 0


def test_permission_without_a_plan(tmp_path):
    result = run("live", *SYNTHETIC, "--engine", tmp_path / "a.onnx", "--trust-plan")
    assert result.exit_code == 2
    assert "--trust-plan is for TensorRT plans" in result.stderr


def test_a_token_in_the_environment_asks_for_no_page(fake_engine, monkeypatch):
    monkeypatch.setenv("FER_SERVE_TOKEN", "long-enough")
    assert run("live", *SYNTHETIC).exit_code == 0
    opened = []
    monkeypatch.setattr(live_module, "open_sinks", lambda config, *args, **more: opened.append(config) or [])
    assert run("live", *SYNTHETIC, "--serve", "0").exit_code == 0
    assert (opened[0].serve, opened[0].serve_token) == ("0", "long-enough")


@pytest.mark.parametrize("word", ["AUTO", "Auto", "auto", "3"])
def test_the_interval_takes_its_word_in_any_case(fake_engine, word):
    assert run("live", *SYNTHETIC, "--detect-every", word).exit_code == 0


def test_help_tells_defaults_and_needs():
    printed = " ".join(run("live", "--help").stdout.split())
    for text in (
        "auto: in live video as seldom as the load needs it",
        "about 24 pixels",
        "in large frames, 5% of the shorter side",
        "haar gives no score. [default: 0.5]",
        "for a clear lead. [default: 0.25]",
        "the model's own limit",
        "[default: ferplus]",
        "needs the extra [table]",
        "needs the extra [mqtt]",
        "Needs the extra [serve]",
        "for this machine only",
        "asks for the token (--serve-token)",
        "FER_SERVE_TOKEN",
        "raw:WxH",
        "https://",
        "GIF",
        "- for standard output",
    ):
        assert text in printed, text
    assert "a multiple of 12" in " ".join(run("analyze", "--help").stdout.split())


class TestPasswordsStaySecret:
    @pytest.mark.parametrize(
        "args",
        [
            ["--source", "rtsp://bob:geheim@h/1", "--jsonl", "a.txt", "--csv", "a.txt"],
            ["--mqtt", "mqtt://bob:geheim@h/t", "--jsonl", "a.txt", "--csv", "a.txt"],
            ["--source", "rtsp:/bob:geheim@h/1"],
            ["--source", "rtsp:/bob:ge heim@h/1"],
            ["--source", "rtsp//bob:geheim@h"],
            ["rtsp://bob:geheim@h/1"],
            ["--max-frames", "rtsp://bob:geheim@h/1"],
        ],
    )
    def test_flags(self, fake_engine, args):
        result = run("live", "--no-display", *args)
        assert result.exit_code != 0
        assert "heim" not in result.output
        assert result.stderr

    @pytest.mark.parametrize(
        "text",
        [
            "output: {mqtt: [mqtt://bob:geheim@h/t]}",
            "output: {mqtt: {url: mqtt://bob:geheim@h/t}}",
            "source: {url: rtsp://bob:geheim@h/1}",
            "source: [[rtsp://bob:geheim@h/1]]",
            "output: {serve_token: 4711}",
            "device: rtsp://bob:geheim@h/1",
            "source: rtsp://bob:geheim@h/1: 5",
        ],
    )
    def test_config(self, fake_engine, tmp_path, text):
        (tmp_path / "c.yaml").write_text(text)
        result = run("live", "--config", tmp_path / "c.yaml")
        assert result.exit_code == 2
        assert "geheim" not in result.output
        assert "4711" not in result.output


class TestFailedStart:
    """A run that never starts leaves the outputs of the last one alone, and nothing of its own."""

    def test_old_results_survive_a_bad_flag(self, fake_engine, tmp_path):
        (tmp_path / "a.jsonl").write_text("old\n")
        result = run("live", *SYNTHETIC, "--jsonl", tmp_path / "a.jsonl", "--record", tmp_path / "a.txt")
        assert result.exit_code == 2
        assert (tmp_path / "a.jsonl").read_text() == "old\n"

    def test_no_window(self, fake_engine, tmp_path, monkeypatch):
        def refuse(title, flags):
            raise cv2.error("no window")

        monkeypatch.setattr(cv2, "namedWindow", refuse)
        monkeypatch.setattr("fer_deploy.live.outputs.why_no_screen", lambda: None)
        result = run("live", "--source", "synthetic", "--max-frames", "2", "--record", tmp_path / "a.mp4")
        assert result.exit_code == 8
        assert "cannot open a window" in result.stderr
        assert list(tmp_path.iterdir()) == []


def test_engine_is_closed(fake_engine):
    assert run("live", *SYNTHETIC).exit_code == 0
    assert fake_engine.closed
