"""README, CONTRIBUTING, CHANGELOG and docs/: links lead somewhere, and commands name what exists. No command is run."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
import pytest

from fer_deploy.cli import COMMANDS as DEPLOY_COMMANDS
from fer_train.cli import COMMANDS as TRAIN_COMMANDS

REPO = Path(__file__).parents[2]
PAGES = [REPO / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (REPO / "docs").glob("*.md")
)
MAX_README_BYTES = 10_000
SHELL, NO_COMMANDS = {"", "sh", "bash", "console"}, {"text", "json", "yaml", "python"}
OTHER_PROGRAMS = {"pip", "apt-get", "docker", "curl", "echo", "ssh", ".", "git"}
GROUPS = {"fer-deploy": ("fer_deploy", DEPLOY_COMMANDS), "fer-train": ("fer_train", TRAIN_COMMANDS)}
GROUP_OPTIONS = {"--help", "--version"}
REPO_FOLDERS = ("configs/", "examples/", "benchmarks/", "tests/", "docs/")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n?)+")
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMENT = re.compile(r"(^|\s)#.*$")
_NUMBERS = re.compile(r"^\|.*<!-- numbers: ([\w-]+) -->.*$", re.MULTILINE)
_CARD_ACCURACY = re.compile(r"\*\*(\d+\.\d+)%\*\* \[(\d+\.\d+), (\d+\.\d+)\]")


@dataclass(frozen=True)
class Block:
    """A fenced or indented block of code."""

    language: str
    text: str


def blocks_of(page: str) -> list[Block]:
    found = [Block(language, text) for language, text in _FENCE.findall(page)]
    indented = _INDENTED.findall(_FENCE.sub("", page))
    return found + [Block("", re.sub(r"^ {4}", "", text, flags=re.MULTILINE)) for text in indented]


def commands_of(block: str) -> Iterator[list[str]]:
    """Yield the words of each command; pipes and && divide, # begins a comment."""
    for line in re.sub(r"\\\n", " ", block).splitlines():
        words = shlex.split(_COMMENT.sub("", line))
        command: list[str] = []
        for word in [*words, "&&"]:
            if word in {"|", "&&"}:
                if command:
                    yield command
                command = []
            else:
                command.append(word)


def inline_commands_of(page: str) -> Iterator[list[str]]:
    """Yield commands that text mentions, such as `make demo`."""
    for text in _INLINE.findall(_FENCE.sub("", page)):
        if text.startswith((*(f"{name} " for name in GROUPS), "make ", "python ", "pytest ")):
            yield shlex.split(text.replace("[", "").replace("]", ""))


def slugs_of(page: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings."""
    headings = re.findall(r"^#+ +(.+)$", _FENCE.sub("", page), re.MULTILINE)
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
    if program in {"pytest", *OTHER_PROGRAMS}:
        return _absent(rest)
    return f"unknown program {program}"


def _fault_of_ours(program: str, words: list[str], *, is_whole: bool) -> str | None:
    package, commands = GROUPS[program]
    name, *args = words
    if name in GROUP_OPTIONS or name == "COMMAND":
        return None
    if name not in commands:
        return f"{program} has no command {name}"
    command: click.Command = import_module(f"{package}.cli.flags.{name}").command
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
    fault = next(filter(None, faults), None)
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
    text = _FENCE.sub("", page.read_text())
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
    assert {block.language for block in blocks_of(page.read_text())} <= SHELL | NO_COMMANDS


def test_commands_of_blocks_exist(page):
    shell = [block.text for block in blocks_of(page.read_text()) if block.language in SHELL]
    commands = [words for text in shell for words in commands_of(text)]
    assert {" ".join(words): fault for words in commands if (fault := fault_of(words))} == {}


def test_commands_within_the_text_exist(page):
    commands = list(inline_commands_of(page.read_text()))
    assert {" ".join(words): fault for words in commands if (fault := fault_of(words, is_whole=False))} == {}


def test_python_blocks_compile_and_import_what_exists(page):
    for block in blocks_of(page.read_text()):
        if block.language != "python":
            continue
        tree = ast.parse(block.text)
        compile(tree, page.name, "exec")
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("fer_deploy", "fer_train")):
                module = import_module(node.module or "")
                assert [one.name for one in node.names if not hasattr(module, one.name)] == []


def test_accuracies_of_the_readme_are_those_of_the_cards():
    rows = {match[1]: match[0] for match in _NUMBERS.finditer((REPO / "README.md").read_text())}
    assert {"net", "senet"} <= set(rows)
    for name, row in rows.items():
        card = REPO / "weights" / f"{name}.md"
        if card.is_file():
            said = [
                f"{accuracy} % ({low} to {high})" for accuracy, low, high in _CARD_ACCURACY.findall(card.read_text())
            ]
            assert any(one in row for one in said), (row, said)


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("fer-deploy live --source clip.mp4 --jsonl out.jsonl", None),
        ("fer-deploy lvie", "fer-deploy has no command lvie"),
        ("fer-deploy live --sorce 0", "fer-deploy live has no --sorce"),
        ("fer-deploy build --profile 1 4", "fer-deploy build: Option '--profile' requires 3 arguments."),
        ("fer-deploy live clip.mp4", "fer-deploy live takes no ['clip.mp4']"),
        ("fer-deploy live --model raf", "fer-deploy live: --model raf is none of ferplus, fer2013"),
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
