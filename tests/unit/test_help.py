"""The help of both programs: it imports little, its examples parse, and one name means one thing."""

import ast
import inspect
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from unit.programs import ALL, PROGRAMS, REPO, command_of, commands_in, options_of, run

HEAVY = {"torch", "torchvision", "cv2", "onnxruntime", "onnx", "av", "scipy", "sklearn", "numpy", "matplotlib", "PIL"}
MODULES_OF_BODIES = {"quantize": "export", "verify": "export"}
SHOWN = """
import sys
sys.argv = ["{program}", *{args}]
from importlib import import_module
try:
    import_module("{package}.__main__").main()
finally:
    print(sorted(name.partition(".")[0] for name in sys.modules))
"""


@pytest.mark.parametrize(
    ("program", "args"),
    [("fer-train", ["--help"]), ("fer-deploy", ["--help"]), *((one, [name, "--help"]) for one, name in ALL)],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_help_imports_nothing_heavy(program, args):
    script = SHOWN.format(program=program, args=args, package=PROGRAMS[program][0])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *shown, modules = done.stdout.splitlines()
    assert set(ast.literal_eval(modules)) & HEAVY == set()
    assert shown[0].startswith(f"Usage: {program}")
    assert "Examples:" in shown


@pytest.mark.parametrize(("program", "name"), ALL)
def test_h_is_help(program, name):
    assert run(program, name, "-h").stdout == run(program, name, "--help").stdout


@pytest.mark.parametrize(("program", "name"), ALL)
def test_h_stays_help_where_click_is_asked_without_a_program(monkeypatch, program, name):
    command = command_of(program, name)
    monkeypatch.setattr(command, "_help_option", None)  # Click keeps the first one
    command.get_help_option(click.Context(command))
    assert run(program, name, "-h").stdout.startswith("Usage:")


@pytest.mark.parametrize(("program", "name"), ALL)
def test_each_part_of_the_help_is_there_once(program, name):
    lines = run(program, name, "--help").stdout.splitlines()
    headings = [line for line in lines if re.fullmatch(r"\S.*:", line)]
    assert len(headings) == len(set(headings))
    records = [line for line in lines if re.match(r"  [A-Z]+(\.\.\.)?  ", line)]
    assert len(records) == len(set(records))


@pytest.mark.parametrize("program", PROGRAMS)
def test_without_a_command_the_overview_is_printed(program):
    result = run(program)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == run(program, "--help").stdout
    _, _, commands = PROGRAMS[program]
    for name, what in commands.items():
        assert re.search(rf"^  {name} +{re.escape(what)}$", result.stderr, re.MULTILINE), name


def test_commands_are_grouped_by_what_people_do():
    for program, headings in (
        ("fer-deploy", ["Recognize emotions:", "Export a model:", "Look at files and at this machine:"]),
        ("fer-train", ["Train:", "Measure:", "Combine and publish:"]),
    ):
        lines = run(program, "--help").stdout.splitlines()
        assert [line for line in lines if line in headings] == headings


@pytest.mark.parametrize(
    ("program", "args", "suggestion"),
    [
        ("fer-deploy", ["lvie"], "Error: No such command 'lvie'. Did you mean 'live'?"),
        ("fer-deploy", ["analyse"], "Error: No such command 'analyse'. Did you mean 'analyze'?"),
        ("fer-deploy", ["fly"], "Error: No such command 'fly'."),
        ("fer-train", ["evalute"], "Error: No such command 'evalute'. Did you mean 'evaluate'?"),
        (
            "fer-deploy",
            ["live", "--recrod", "a.mp4"],
            "Error: No such option '--recrod'. (Did you mean one of: '--record', '--roi'?)",
        ),
        (
            "fer-deploy",
            ["archive", "run", "out", "--sample-fps", "5"],
            "Error: No such option '--sample-fps'. It is an option of fer-deploy archive plan.",
        ),
        (
            "fer-train",
            ["evaluate", "--folds", "3"],
            "Error: No such option '--folds'. It is an option of fer-train crossval.",
        ),
        ("fer-train", ["train", "--confg", "a"], "Error: No such option '--confg'. Did you mean '--config'?"),
    ],
)
def test_a_wrong_name_is_answered_with_the_similar_one(program, args, suggestion):
    result = run(program, *args)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == suggestion


INSIDE = [(one, f"{name} {inner}") for one, name in ALL for inner in commands_in(command_of(one, name))]
"""Commands of groups, such as archive plan."""
ALONE = [(one, name) for one, name in ALL if not commands_in(command_of(one, name))]


@pytest.mark.parametrize(("program", "name"), INSIDE)
def test_help_of_commands_in_groups(program, name):
    group, inner = name.split()
    shown = run(program, group, inner, "--help")
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"Usage: {program} {name}")
    assert "Examples:" in shown.stdout
    options = commands_in(command_of(program, group))[inner].params
    assert all(one.help for one in options), "an option without a description"


def examples() -> list[tuple[str, str]]:
    """Return (program and command, command line) of every example."""
    found = []
    for program, (_, group, _) in PROGRAMS.items():
        found += [(program, line) for _, line in group.examples]
    for program, name in ALL:
        command = command_of(program, name)
        found += [(f"{program} {name}", line) for _, line in command.examples]
        for inside, inner in commands_in(command).items():
            found += [(f"{program} {name} {inside}", line) for _, line in inner.examples]
    return found


@pytest.mark.parametrize(("where", "line"), examples())
def test_examples_parse_and_fit(where, line):
    words = shlex.split(line.replace("\\\n", " "))
    words = words[words.index("|") + 1 :] if "|" in words else words  # what another program writes into ours
    if words[0] == "torchrun":
        words = words[words.index("-m") + 1 :]
        words[0] = words[0].replace("_", "-")
    program, name, *args = words
    command = command_of(program, name)
    if inside := commands_in(command):
        command, args = inside[args[0]], args[1:]
    context = command.make_context(name, args)  # raises where an option or a value is not known, or one is absent
    assert context.args == []
    assert max(map(len, line.splitlines())) <= 100, "a line of help that a terminal of 100 columns would break"
    for word in words:
        if word.startswith(("configs/", "weights/")):
            assert (REPO / word).is_file(), word


@pytest.mark.parametrize(("program", "name"), ALL)
def test_every_command_has_examples_of_its_own(program, name):
    lines = [line for where, line in examples() if where == f"{program} {name}"]
    assert lines
    assert lines[0].startswith(f"{program} {name}")


@pytest.mark.parametrize(("program", "name"), ALL)
def test_values_are_named_and_described(program, name):
    for opt, option in options_of(program, name).items():
        context = click.Context(command_of(program, name))
        assert option.help, opt
        assert option.help.endswith("."), opt
        if option.is_flag:
            continue
        metavar = option.make_metavar(context)
        assert metavar not in {"PATH", "TEXT", "INTEGER", "FLOAT"} or (metavar == "PATH" and option.metavar), opt
        if isinstance(option.type, click.Path):
            assert metavar in {"FILE", "DIR", "PATH"}, opt
        extra = option.get_help_extra(context)
        is_file_or_text = isinstance(option.type, click.Path) or opt in {"--mqtt", "--serve", "--input-shapes"}
        assert is_file_or_text or extra.get("default") or extra.get("required"), f"{opt} tells no default"


@pytest.mark.parametrize(("program", "name"), [*ALONE, *INSIDE])
def test_flags_are_the_arguments_of_the_work(program, name):
    package, path = PROGRAMS[program][0], name.replace(" ", ".")
    body = getattr(import_module(f"{package}.cli.{MODULES_OF_BODIES.get(name, path)}"), name.rpartition(" ")[2])
    parameters = inspect.signature(body).parameters.values()
    named = {one.name for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD}
    takes_more = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    command = command_of(program, name.partition(" ")[0])
    command = commands_in(command).get(name.partition(" ")[2], command)
    given = {param.name for param in command.params if param.expose_value}
    assert named <= given
    assert takes_more or given == named


MEANINGS = {
    "--out": {"FILE", "DIR"},
    "--device": {"DEVICE", "[auto|cpu|cuda|tensorrt|tensorrt-rtx|openvino]", "[auto|cpu|cuda]"},
    "--variant": {"[fp32|fp16|int8|int8-cpu]", "[fp16|int8|int8-cpu]"},
}
"""What an option may take in more than one form: `--out` is what a command writes."""


def test_one_name_is_one_thing():
    forms: dict[str, set[str]] = {}
    for program, name in ALL:
        for opt, option in options_of(program, name).items():
            form = "flag" if option.is_flag else option.make_metavar(click.Context(command_of(program, name)))
            forms.setdefault(opt, set()).add(form)
    assert {opt: found for opt, found in forms.items() if len(found) > 1} == MEANINGS


@pytest.mark.parametrize(
    ("program", "line", "name", "value"),
    [
        ("fer-deploy", "live --record a.mp4 --record-codec x264", "video_codec", "x264"),
        ("fer-deploy", "verify --artifact a.onnx", "artifact", Path("a.onnx")),
        (
            "fer-deploy",
            "triton --artifact a.onnx --engine b.plan --out o",
            "artifacts",
            (Path("a.onnx"), Path("b.plan")),
        ),
        ("fer-deploy", "triton --engine a.onnx --out o --device gpu", "device", "cuda"),
        ("fer-train", "distill --config c --data d --teacher t --weight 0.25", "weight", 0.25),
        ("fer-train", "ensemble --data d --weights equal", "weights", "equal"),
        ("fer-train", "evaluate --checkpoint c --data d --predictions p.npz", "predictions", Path("p.npz")),
    ],
)
def test_former_names_still_work_and_are_not_shown(program, line, name, value):
    command, *args = line.split()
    context = command_of(program, command).make_context(command, args)
    assert context.params[name] == value
    shown = run(program, command, "--help").stdout
    for former in ("--record-codec", "--artifact", "--weight ", "--weights ", "--predictions "):
        assert former not in shown


@pytest.mark.parametrize(
    ("given", "end"),
    [("senet-ferplus", "Did you mean ferplus?"), ("ferplu", "Did you mean ferplus?"), ("xyz", "'fer2013'.")],
)
def test_a_wrong_choice_suggests_a_similar_one(given, end):
    found = CliRunner().invoke(command_of("fer-deploy", "image"), ["a.jpg", "--model", given])
    assert found.exit_code == 2
    assert found.stderr.rstrip().endswith(end)


def test_gpu_is_not_taken_for_a_slip_of_cpu():
    found = CliRunner().invoke(command_of("fer-deploy", "image"), ["a.jpg", "--device", "gpu"])
    assert found.stderr.rstrip().endswith(
        "'gpu' is not one of 'auto', 'cpu', 'cuda', 'tensorrt', 'tensorrt-rtx', 'openvino'."
    )


def test_a_source_without_its_flag_is_told_of_it():
    found = CliRunner().invoke(command_of("fer-deploy", "live"), ["photo.jpg"])
    assert found.stderr.rstrip().endswith("Got unexpected extra argument (photo.jpg). Fix: --source in front of it")
