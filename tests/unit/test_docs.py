"""README, CONTRIBUTING, CHANGELOG and docs/: links and commands name what exists, and generated parts are up to date.

`integration/test_docs_blocks.py` runs the commands.
"""

import ast
import itertools
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
import yaml
from docs_pages import FENCE, NO_COMMANDS, PAGES, PYTHON, REPO, SHELL, blocks_of

from fer_deploy.cli import COMMANDS as DEPLOY_COMMANDS
from fer_deploy.live.config import LiveConfig
from fer_train.cli import COMMANDS as TRAIN_COMMANDS

MAX_README_BYTES = 10_000
TOOLS = REPO / "docs" / "tools"
OTHER_PROGRAMS = {"pip", "apt-get", "docker", "curl", "echo", "ssh", ".", "git", "eval", "mkdir", "cp", "sbatch", "ray"}
OF_A_BOX = {"python3", "/opt/fer/bin/pip", "install", "systemctl", "export"}
GROUPS = {"fer-deploy": ("fer_deploy", DEPLOY_COMMANDS), "fer-train": ("fer_train", TRAIN_COMMANDS)}
GROUP_OPTIONS = {"--help", "--version"}
REPO_FOLDERS = ("configs/", "examples/", "benchmarks/", "tests/", "docs/", "deploy/")

_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ASSIGNMENT = re.compile(r"\w+=.*")
_COMMENT = re.compile(r"(^|\s)#.*$")


def commands_of(block: str) -> Iterator[list[str]]:
    """Yield each command's words, without comments, variables in front, and what follows >; pipes and && divide."""
    for line in re.sub(r"\\\n", " ", block).splitlines():
        words = shlex.split(_COMMENT.sub("", line))
        command: list[str] = []
        words = list(itertools.takewhile(lambda word: word != ">", words))
        for word in [*itertools.dropwhile(_ASSIGNMENT.fullmatch, words), "&&"]:
            if word in {"|", "&&"}:
                if command:
                    yield command
                command = []
            else:
                command.append(word)


def inline_commands_of(page: str) -> Iterator[list[str]]:
    """Yield commands that text mentions, such as `make demo`."""
    for text in _INLINE.findall(FENCE.sub("", page)):
        if text.startswith((*(f"{name} " for name in GROUPS), "make ", "python ", "pytest ")):
            yield shlex.split(text.replace("[", "").replace("]", ""))


def slugs_of(page: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def fault_of(words: list[str], *, is_whole: bool = True) -> str | None:
    """Return what is wrong with a command, or None; `is_whole`: required options must be there."""
    program, *rest = words
    if "-m" in rest and rest[rest.index("-m") + 1 :][:1] in (
        ["fer_train"],
        ["fer_deploy"],
    ):  # torchrun ... -m fer_train
        at = rest.index("-m") + 1
        program, rest = rest[at].replace("_", "-"), rest[at + 1 :]
    if program in GROUPS:
        return _fault_of_ours(program, rest, is_whole=is_whole)
    if program == "make":
        return _fault_of_make(rest)
    if program == "python":
        return _fault_of_script(rest)
    if program in {"pytest", *OTHER_PROGRAMS, *OF_A_BOX}:
        return _absent(rest)
    return f"unknown program {program}"


def _fault_of_ours(program: str, words: list[str], *, is_whole: bool) -> str | None:
    package, commands = GROUPS[program]
    name, *args = words or ["--help"]
    if name in GROUP_OPTIONS or name == "COMMAND":
        return None
    if name not in commands:
        return f"{program} has no command {name}"
    command: click.Command = import_module(f"{package}.cli.flags.{name}").command
    if isinstance(command, click.Group) and args:
        inner = command.get_command(click.Context(command), args[0])
        command, args = (command, args) if inner is None else (inner, args[1:])  # a group takes no arguments
    context = click.Context(command, info_name=name)
    options = {key: param for param in command.get_params(context) for key in (*param.opts, *param.secondary_opts)}
    if not is_whole and args and args[-1] in options:  # `fer-deploy live --record` is a mention
        args = args[:-1]
    try:
        values, extra, _ = command.make_parser(context).parse_args(list(args))
    except click.NoSuchOption as err:
        return f"{program} {name} has no {err.option_name}"
    except click.UsageError as err:
        return f"{program} {name}: {err.format_message()}"
    if any(word != "..." for word in extra):
        return f"{program} {name} takes no {extra}"
    faults = (
        _fault_of_value(param, values.get(param.name or ""), is_whole=is_whole and "..." not in args)
        for param in command.get_params(context)
    )
    former = {key for param in command.get_params(context) for key in getattr(param, "formerly", ())}
    old = (f"{word} is a former name" for word in args if word in former)
    fault = next(filter(None, [*faults, *old]), None)
    return f"{program} {name}: {fault}" if fault else _absent(args)


def _fault_of_value(param: click.Parameter, value: object, *, is_whole: bool) -> str | None:
    if not isinstance(value, str | list | tuple):
        return f"{param.opts[0]} is required" if param.required and is_whole else None
    given = [value] if isinstance(value, str) else [one for one in value if isinstance(one, str)]
    for one in given:
        if isinstance(param.type, click.Choice) and one not in param.type.choices and not one.isupper():
            return f"{param.opts[0]} {one} is none of {', '.join(map(str, param.type.choices))}"
    return None


def _fault_of_make(words: list[str]) -> str | None:
    makefile = (REPO / "Makefile").read_text()
    for word in words:
        name, is_variable, value = word.partition("=")
        pattern = rf"^{re.escape(name)}\s*[?:]?=" if is_variable else rf"^{re.escape(name)}:"
        if word != "TARGET" and not re.search(pattern, makefile, re.MULTILINE):
            return f"the Makefile has no {name}"
        if fault := _absent([value]):
            return fault
    return None


def _fault_of_script(words: list[str]) -> str | None:
    script = REPO / words[0]
    if not script.is_file():
        return f"no {words[0]}"
    sources = [script, *script.parent.glob("_*.py")] if script.parent.name == "benchmarks" else [script]
    known = "\n".join(source.read_text() for source in sources)
    unknown = [word for word in words[1:] if word.startswith("--") and not re.search(rf"{word}\b", known)]
    return f"{words[0]} has no {', '.join(unknown)}" if unknown else _absent(words[1:])


def _absent(words: list[str]) -> str | None:
    """Return which file of this repository is named and absent."""
    absent = [word for word in words if word.startswith(REPO_FOLDERS) and not (REPO / word.partition("::")[0]).exists()]
    return f"no {', '.join(absent)}" if absent else None


@pytest.fixture(params=PAGES, ids=lambda path: path.name)
def page(request) -> Path:
    return request.param


def test_the_readme_is_one_screen():
    assert len((REPO / "README.md").read_bytes()) <= MAX_README_BYTES


def test_every_page_is_linked_from_the_readme():
    linked = set(_LINK.findall((REPO / "README.md").read_text()))
    assert {f"docs/{path.name}" for path in (REPO / "docs").glob("*.md")} <= {link.partition("#")[0] for link in linked}


def test_links_lead_to_files_and_headings(page):
    text = FENCE.sub("", page.read_text())
    faults = []
    for link in _LINK.findall(_INLINE.sub("``", text)) + _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in slugs_of(target.read_text())):
            faults.append(link)
    assert faults == []


def test_every_block_says_what_it_is(page):
    assert {block.language for block in blocks_of(page.read_text())} <= {SHELL, PYTHON, *NO_COMMANDS}


def test_commands_of_blocks_exist(page):
    shell = [block.text for block in blocks_of(page.read_text()) if block.language == SHELL]
    commands = [words for text in shell for words in commands_of(text)]
    assert {" ".join(words): fault for words in commands if (fault := fault_of(words))} == {}


def test_commands_within_the_text_exist(page):
    commands = list(inline_commands_of(page.read_text()))
    assert {" ".join(words): fault for words in commands if (fault := fault_of(words, is_whole=False))} == {}


def test_python_blocks_compile_and_import_what_exists(page):
    for block in blocks_of(page.read_text()):
        if block.language != PYTHON:
            continue
        tree = ast.parse(block.text)
        compile(tree, page.name, "exec")
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("fer_deploy", "fer_train")):
                module = import_module(node.module or "")
                assert [one.name for one in node.names if not hasattr(module, one.name)] == []


def test_yaml_blocks_are_settings_of_live(page):
    for block in blocks_of(page.read_text()):
        if block.language == "yaml":
            LiveConfig.model_validate(yaml.safe_load(block.text))


@pytest.mark.parametrize("name", ["cards", "api", "numbers_of_readme", "chart", "deploy_page"])
def test_generated_parts_are_up_to_date(name):
    done = subprocess.run(
        [sys.executable, TOOLS / f"{name}.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("fer-deploy live --source clip.mp4 --jsonl out.jsonl", None),
        ("fer-deploy lvie", "fer-deploy has no command lvie"),
        ("fer-deploy live --sorce 0", "fer-deploy live has no --sorce"),
        ("fer-deploy triton --artifact a.onnx --out r", "fer-deploy triton: --artifact is a former name"),
        ("fer-deploy build --profile 1 4", "fer-deploy build: Option '--profile' requires 3 arguments."),
        ("fer-deploy live clip.mp4", "fer-deploy live takes no ['clip.mp4']"),
        ("fer-deploy live --model raf", "fer-deploy live: --model raf is none of ferplus, nano-ferplus, fer2013"),
        ("fer-deploy export --config configs/exprot.yaml", "no configs/exprot.yaml"),
        ("fer-train train --data fer2013.csv", "fer-train train: --config is required"),
        ("fer-train crossval --config ... --data ...", None),
        ("torchrun --nproc-per-node 2 -m fer_train train --confg a", "fer-train train has no --confg"),
        ("make demmo", "the Makefile has no demmo"),
        ("make demo SORUCE=0", "the Makefile has no SORUCE"),
        ("python benchmarks/fsp.py", "no benchmarks/fsp.py"),
        ("python benchmarks/fps.py --tutorial-frame 5", "benchmarks/fps.py has no --tutorial-frame"),
        ("pytest tests/unit/test_absent.py", "no tests/unit/test_absent.py"),
        ("pyhton a.py", "unknown program pyhton"),
    ],
)
def test_faults_are_found(command, fault):
    assert fault_of(command.split()) == fault


def test_comments_pipes_and_long_lines():
    block = "make demo  # comment\ncat.py | fer-deploy live --source film.mkv#1 \\\n    --no-display\n"
    assert list(commands_of(block)) == [
        ["make", "demo"],
        ["cat.py"],
        ["fer-deploy", "live", "--source", "film.mkv#1", "--no-display"],
    ]
