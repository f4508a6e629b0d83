"""Every option of both programs has an environment variable: flag, variable, YAML, default."""

import click
import pytest
from click.testing import CliRunner
from unit.programs import ALL, command_of, commands_in

from fer_deploy.cli import main
from fer_deploy.cli.interface import logs, variables
from fer_deploy.cli.live import _settings
from fer_train.cli import main as train_main

OTHERS = {"FER_YUNET", "FER_SHARED", "FER_FUZZ_CASES", "FER_FUZZ_SEED", "FER_REQUIRE_GPU", "FER_TEST_COMPILE"}
"""Variables that are no option's."""


CALLED = {
    " ".join([name, *inner]): one
    for program, name in ALL
    for command in [command_of(program, name)]
    for inner, one in [((), command), *(((key,), each) for key, each in commands_in(command).items())]
    if not isinstance(one, click.Group)
}
"""Each command by its words on the command line."""


def options_of_all():
    return [(name, param) for program, name in ALL for param in command_of(program, name).params]


def settings(*args: str):
    """Return the settings of a command line of live."""
    with command_of("fer-deploy", "live").make_context("live", list(args)) as context:
        flags = dict(context.params)
        path = flags.pop("config_path")
        flags = {name: value for name, value in flags.items() if name not in {"as_json", "verbose"}}
        return _settings(path, flags)


def test_every_option_has_a_variable_of_its_own():
    options = [(name, param) for name, param in options_of_all() if isinstance(param, click.Option)]
    names = [variables.variable_of(command, option) for command, option in options]
    assert len(set(names)) == len(names) > 250
    assert all(name in option.envvar for name, (_, option) in zip(names, options, strict=True))
    assert not OTHERS & set(names)


def test_names_are_those_of_the_flags():
    known = {name for _, param in options_of_all() for name in param.envvar or ()}
    expected = {"FER_LIVE_SOURCE", "FER_LIVE_DISPLAY", "FER_LIVE_SMOOTHING", "FER_LIVE_CONFIG", "FER_LIVE_JSON"}
    expected |= {"FER_ANALYZE_OUT", "FER_TRAIN_EPOCHS", "FER_SERVE_TOKEN", "FER_LOG_FORMAT"}
    assert expected <= known


def test_flag_then_variable_then_yaml_then_default(tmp_path, monkeypatch):
    config = tmp_path / "live.yaml"
    assert settings().pipeline.detect_every == "auto"
    config.write_text("pipeline: {detect_every: 2, workers: 3}\noutput: {display: false}\n")
    monkeypatch.setenv("FER_LIVE_CONFIG", str(config))
    assert settings().pipeline.detect_every == 2
    monkeypatch.setenv("FER_LIVE_DETECT_EVERY", "4")
    monkeypatch.setenv("FER_LIVE_DISPLAY", "1")
    found = settings()
    assert (found.pipeline.detect_every, found.pipeline.workers, found.output.display) == (4, 3, True)
    assert settings("--detect-every", "5", "--no-display").pipeline.detect_every == 5


def test_an_empty_variable_is_absent(monkeypatch):
    monkeypatch.setenv("FER_LIVE_DETECT_EVERY", "")
    monkeypatch.setenv("FER_LIVE_SOURCE", "")
    assert settings().source == ("0",)


def test_several_values_are_words_of_a_shell(monkeypatch):
    monkeypatch.setenv("FER_LIVE_SOURCE", "rtsp://cam/1 'my clip.mp4' film.mkv#1")
    assert settings().source == ("rtsp://cam/1", "my clip.mp4", "film.mkv#1")
    monkeypatch.setenv("FER_BUILD_PROFILE", "1 8 32")
    context = command_of("fer-deploy", "build").make_context("build", ["--onnx", "a.onnx", "--out", "a.plan"])
    assert context.params["profile"] == (1, 8, 32)


def test_both_names_of_the_token_work_and_need_a_page(monkeypatch):
    monkeypatch.setenv("FER_SERVE_TOKEN", "the-old-name")
    assert settings().output.serve_token is None
    monkeypatch.setenv("FER_LIVE_SERVE", "8080")
    assert settings().output.serve_token == "the-old-name"
    monkeypatch.setenv("FER_LIVE_SERVE_TOKEN", "the-new-name")
    assert settings().output.serve_token == "the-new-name"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"FER_LIVE_DEVICE": "cdua"},
            "Error: Invalid value for FER_LIVE_DEVICE: 'cdua' is not one of 'auto', 'cpu', 'cuda', 'tensorrt', "
            "'tensorrt-rtx', 'openvino'. Did you mean cuda? Fix: another value for FER_LIVE_DEVICE, or unset it\n",
        ),
        (
            {"FER_LIVE_SOURCE": "'rtsp://bob:geheim@cam"},
            "Error: Invalid value for FER_LIVE_SOURCE: no closing quotation; values are separated by spaces and quoted "
            "as in a shell. Fix: another value for FER_LIVE_SOURCE, or unset it\n",
        ),
        (
            {"FER_LIVE_DETECT_EVERY": "200"},
            "error: environment: detect_every is 200, expected 1 to 100 or auto. Fix: FER_LIVE_DETECT_EVERY=3\n",
        ),
        (
            {"FER_LIVE_MIN_SCORE": "3"},
            "error: environment: FER_LIVE_MIN_SCORE: expected less than 1 (got 3.0)\n",
        ),
        (
            {"FER_LIVE_DETECTOR": "haar", "FER_LIVE_MIN_SCORE": "0.7"},
            "error: environment: FER_LIVE_MIN_SCORE is about YuNet, and the detector is haar. "
            "Fix: FER_LIVE_DETECTOR=yunet, or leave them out\n",
        ),
        (
            {"FER_LIVE_SOURCE": "0 0"},
            "error: environment: FER_LIVE_SOURCE: camera 0 is named 2 times and can be read once. "
            "Fix: each FER_LIVE_SOURCE once\n",
        ),
        (
            {"FER_LIVE_JSON": "yes", "FER_LIVE_JSONL": "-"},
            "error: FER_LIVE_JSON and FER_LIVE_JSONL - would both write to standard output. Fix: FER_LIVE_JSONL=FILE\n",
        ),
        (
            {"FER_LIVE_SOURCE": "rtsp://bob:geheim@", "FER_LIVE_SERVE_TOKEN": "geheim-geheim", "FER_LIVE_SERVE": "x:y"},
            "",
        ),
    ],
)
def test_a_wrong_value_is_named_by_its_variable(given, said):
    result = CliRunner().invoke(main, ["live"], env=given)
    assert result.exit_code != 0
    assert result.stderr.endswith(said)
    assert "geheim" not in result.stderr


def test_a_flag_is_named_as_a_flag_though_other_variables_are_set():
    result = CliRunner().invoke(main, ["live", "--detect-every", "200"], env={"FER_LIVE_SOURCE": "synthetic"})
    assert result.stderr == (
        "error: command line: detect_every is 200, expected 1 to 100 or auto. Fix: --detect-every 3\n"
    )


def test_fer_train_names_the_variable(repo_dir):
    config = str(repo_dir / "configs" / "train" / "net.yaml")
    args = ["train", "--config", config, "--data", "absent.csv"]
    result = CliRunner().invoke(train_main, args, env={"FER_TRAIN_EPOCHS": "0"})
    assert result.stderr.splitlines()[-1] == ("error: environment: FER_TRAIN_EPOCHS: expected at least 1 (got 0)")


def test_unknown_variables_are_warned_of_without_their_values():
    environ = {
        "FER_LIVE_SORCE": "rtsp://bob:geheim@cam",
        "FER_LIVE_ZZZ": "1",
        "FER_LIVE_SERVICE_HOST": "10.0.0.1",
        "FER_LIVE_PORT_8080_TCP_ADDR": "10.0.0.1",
        "FER_DEMO_SORCE": "1",
        "FER_LIVE_SOURCE": "0",
    }
    assert list(variables.unknown_variables(command_of("fer-deploy", "live"), environ)) == [
        "the environment variable FER_LIVE_SORCE is not used: live has no such option; did you mean FER_LIVE_SOURCE?",
        "the environment variable FER_LIVE_ZZZ is not used: live has no such option; the options are in live --help",
    ]


def test_a_value_in_letters_follows_an_equals_sign():
    env = {"FER_LIVE_BASELINE": "first:x", "FER_LIVE_ROI": "0.5,0.5,0.2,0.2"}
    for name, value in env.items():
        done = CliRunner().invoke(main, ["live"], env={"FER_LIVE_SOURCE": "synthetic", name: value})
        assert f" {name} " not in done.stderr
        assert f"Fix: {name}=" in done.stderr


def test_a_command_in_a_group_is_named_as_it_is_called():
    run = commands_in(command_of("fer-deploy", "archive"))["run"]
    assert list(variables.unknown_variables(run, {"FER_ARCHIVE_RUN_ZZZ": "1"})) == [
        "the environment variable FER_ARCHIVE_RUN_ZZZ is not used: archive run has no such option; the options are in "
        "archive run --help"
    ]


@pytest.mark.parametrize("called", list(CALLED))
def test_the_log_format_of_each_command_is_known_before_its_options_are_parsed(called):
    (option,) = (one for one in CALLED[called].params if "--log-format" in one.opts)
    assert logs.log_format([*called.split(), "x"], {option.envvar[0]: "json"}) == "json"


def test_the_warning_reaches_the_log(caplog):
    CliRunner().invoke(main, ["live", "--detect-every", "200"], env={"FER_LIVE_SORCE": "0"})
    assert "did you mean FER_LIVE_SOURCE?" in caplog.text
