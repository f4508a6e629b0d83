"""docs/tools: docstrings to Markdown, numbers of the README, the chart, and the website with its link check."""

import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from docs_pages import REPO
from numpy.typing import NDArray

TOOLS = REPO / "docs" / "tools"


@pytest.fixture(scope="module")
def tool():
    """Import a module of docs/tools by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOOLS)
        yield importlib.import_module


def example(a: int, b: str | None = None) -> None:
    """Do it.

    At once:

        example(1)
            deeper

    Args:
        a: how often;
            at most 3.
        b: of what.  [default: all]

    Returns:
        Nothing
        at all.

    Raises:
        ValueError, TypeError: it is 4.
    """


def test_a_docstring_has_its_parts(tool):
    found = tool("docstrings").read_docstring(example.__doc__)
    assert found.text == "Do it.\n\nAt once:\n\n```text\nexample(1)\n    deeper\n```"
    assert found.items == {
        "Args": {"a": "how often; at most 3.", "b": "of what. Default: all."},
        "Raises": {"ValueError, TypeError": "it is 4."},
    }
    assert found.prose == {"Returns": "Nothing at all."}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int | str | Path, "int, str or Path"),
        (Literal["a", "b"] | None, '"a", "b" or None'),
        (NDArray[np.uint8] | None, "array or None"),
        (Sequence[int], "Sequence of int"),
        (Mapping[str, str], "Mapping of str to str"),
        (tuple[str, ...], "tuple of str"),
        (Callable[[int], str], "function that returns str"),
        (Any, ""),
        (inspect.Parameter.empty, ""),
    ],
)
def test_types_in_words(kind, words, tool):
    assert tool("docstrings").type_in_words(kind) == words


def test_functions_become_tables(tool):
    assert list(tool("api").function_lines(example))[-9:] == [
        "| argument | type | meaning |",
        "|---|---|---|",
        "| `a` | int | how often; at most 3. |",
        "| `b` | str or None | of what. Default: all. |",
        "",
        "*Returns:* Nothing at all.",
        "",
        "*Raises* `ValueError`, `TypeError`: it is 4.",
        "",
    ]


def latency(*engines: tuple[str, str]) -> dict[str, Any]:
    of_batch = {"p50_ms": 2.04, "faces_per_s": 1234.5, "stable": True}
    return {
        "command": "python benchmarks/latency.py --publish",
        "hardware": "A chip, 2 cores, torch 9",
        "threads": "2",
        "date": "2026-01-02",
        "results": [
            {
                "engine": engine,
                "file": file,
                "bytes": 1_550_000,
                "latency": [{"batch": 1, **of_batch}, {"batch": 16, **of_batch, "stable": "int8" not in file}],
            }
            for engine, file in engines
        ],
    }


def accuracy(*rows: tuple[str, str, str, float | None]) -> dict[str, Any]:
    return {
        "command": "python benchmarks/accuracy.py --data a.csv --publish",
        "hardware": "B chip, 4 cores, torch 9",
        "split": "PublicTest",
        "date": "2026-01-03",
        "results": [
            {
                "artifact": artifact,
                "model": "senet",
                "labels": labels,
                "view": view,
                "num_faces": 3589,
                "accuracy": 0.5,
                "accuracy_interval": [0.48, 0.52],
                "same_emotion": same,
            }
            for artifact, labels, view, same in rows
        ],
    }


def test_the_table_has_dashes_for_what_was_not_measured(tool, monkeypatch):
    numbers = tool("numbers_of_readme")
    measured = {
        "latency": latency(
            ("torch.compile", "senet.safetensors"),
            ("PyTorch eager", "senet.safetensors"),
            ("ORT int8-cpu, spinning", "senet-int8-cpu.onnx"),
            ("ORT int8-cpu", "senet-int8-cpu.onnx"),
        ),
        "accuracy": accuracy(
            ("PyTorch FP32", "fer2013", "plain", None),
            ("senet-int8-cpu.onnx", "fer2013", "plain", 0.995),
            ("senet-int8-cpu.onnx", "ferplus", "plain", 0.1),
            ("senet-int8-cpu.onnx", "fer2013", "flip", 0.2),
        ),
    }
    measured["latency"]["results"][0]["bytes"] = measured["latency"]["results"][2]["bytes"] = 9
    monkeypatch.setattr(numbers, "newest", lambda name, results: measured[name])
    monkeypatch.setattr(numbers, "page_of", lambda name, results: f"{name}.md")
    lines = numbers.forms().strip().splitlines()
    assert "accuracy against FER2013's labels (95 % interval)" in lines[0]
    assert lines[2:7] == [
        "| PyTorch | 1.6 MB | 50.0 % (48.0 to 52.0) | – | 2.0 ms | 1,234 |",
        "| ONNX, FP32 | – | – | – | – | – |",
        "| ONNX, FP16 | – | – | – | – | – |",
        "| ONNX, INT8 | 1.6 MB | 50.0 % (48.0 to 52.0) | 99.5 % | 2.0 ms | 1,234 † |",
        "| TensorRT plan | – | – | – | – | – |",
    ]
    assert lines[8].startswith(
        "*[senet](weights/senet.md); [latency](latency.md): `python benchmarks/latency.py`, A chip, 2 cores, "
        "2026-01-02, 2 threads"
    )
    assert (
        "[accuracy](accuracy.md): `python benchmarks/accuracy.py --data a.csv`, B chip, 4 cores, 2026-01-03" in lines[8]
    )
    assert "3,589 faces of PublicTest." in lines[8]


def test_the_table_without_fer2013(tool, tmp_path):
    numbers = tool("numbers_of_readme")
    folder = tmp_path / "machine" / "2026-01-02-abc"
    folder.mkdir(parents=True)
    (folder / "latency.json").write_text(json.dumps(latency(("PyTorch eager", "senet.safetensors"))))
    text = numbers.forms(tmp_path)
    assert "| PyTorch | 1.6 MB | – | – | 2.0 ms | 1,234 |" in text
    assert "accuracy: not measured" in text


def test_accuracy_is_that_of_the_card(tool):
    numbers = tool("numbers_of_readme")
    assert numbers.card_accuracy("senet") == "70.02 % (68.5 to 71.6)"
    assert numbers.card_accuracy("absent") == "–"


def test_slots_are_filled_again(tool):
    numbers = tool("numbers_of_readme")
    page = "a <!-- numbers: accuracy-senet -->old<!-- /numbers --> b"
    assert numbers.filled(page) == "a <!-- numbers: accuracy-senet -->70.02 % (68.5 to 71.6)<!-- /numbers --> b"
    with pytest.raises(ValueError, match=r"unknown numbers 'acuracy'; known: headline, .* Fix: one of these"):
        numbers.filled("<!-- numbers: acuracy --><!-- /numbers -->")


def test_the_latest_results_on_a_cpu_count(tool, tmp_path):
    numbers = tool("numbers_of_readme")
    runs = {
        "2026-02-03": "A chip, 2 cores, torch 9",
        "2026-10-03": "B chip, 4 cores, torch 9",
        "2026-11-03": "H100, torch 9",
    }
    for date, hardware in runs.items():
        folder = tmp_path / "machine" / f"{date}-abc"
        folder.mkdir(parents=True)
        (folder / "fps.json").write_text(json.dumps({"environment": {"date": date, "hardware": hardware}, "clips": []}))
    assert numbers.newest("fps", tmp_path)["environment"]["date"] == "2026-10-03"
    with pytest.raises(
        ValueError, match=r"no latency\.json of a CPU in .* Fix: python benchmarks/latency\.py --publish"
    ):
        numbers.newest("latency", tmp_path)


def test_of_two_runs_of_a_day_the_later_one_counts(tool, tmp_path):
    numbers = tool("numbers_of_readme")
    for commit, hour in (("aaa", "09"), ("bbb", "11"), ("ccc", "10")):
        folder = tmp_path / "machine" / f"2026-11-03-{commit}"
        folder.mkdir(parents=True)
        env = {"date": "2026-11-03", "hardware": "A chip, 2 cores, torch 9"}
        started = f"2026-11-03T{hour}:00:00+00:00"
        (folder / "fps.json").write_text(json.dumps({"environment": env, "host": {"started": started}}))
    assert numbers.newest_file("fps", tmp_path).parent.name == "2026-11-03-bbb"


def test_a_latency_of_other_batches_or_another_model(tool, tmp_path):
    numbers = tool("numbers_of_readme")
    folder = tmp_path / "machine" / "2026-01-02-abc"
    folder.mkdir(parents=True)
    other = latency(("PyTorch eager", "senet.safetensors"))
    other["results"][0]["latency"] = other["results"][0]["latency"][:1]
    (folder / "latency.json").write_text(json.dumps(other))
    assert "| PyTorch | 1.6 MB | – | – | 2.0 ms | – |" in numbers.forms(tmp_path)
    (folder / "latency.json").write_text(json.dumps(latency(("PyTorch eager", "net.safetensors"))))
    with pytest.raises(ValueError, match=r"of none of senet-ferplus, senet\. Fix: make bench"):
        numbers.forms(tmp_path)


def test_without_results_the_table_is_a_line(tmp_path):
    tool = REPO / "docs" / "tools" / "numbers_of_readme.py"
    done = subprocess.run([sys.executable, tool, "--table", tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no table: no latency.json of a CPU in ")


def test_bars_are_as_long_as_their_frames(tool):
    rows = [{"variant": name, "fps": fps} for name, fps in zip(tool("chart").BARS, (20.0, 160.0, 320.0), strict=True)]
    env = {"hardware": "A chip, torch 9", "date": "2026-01-02"}
    picture = tool("chart").drawing({"environment": env, "clips": [{"clip": "a.gif", "rows": rows}]})
    widths = [float(width) for width in re.findall(r'<rect x="220" y="[\d.]+" width="([\d.]+)"', picture)]
    assert widths == [29.4, 235.0, 470.0]
    assert "frames per second, A chip, 2026-01-02" in picture


def test_dead_links_and_anchors_are_found(tool, tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="page/#there">1</a><a href="page/#not-there">2</a><a href="absent.png">3</a><a href="https://a.b/c">4</a>'
        '<img src="/page/index.html"><a href="#top">5</a>'
    )
    (tmp_path / "page" / "index.html").write_text(
        '<h1 id="there">a</h1><a href="../index.html">b</a><a href="..">c</a>'
    )
    assert tool("website").broken_links(tmp_path) == [
        "index.html: page/#not-there",
        "index.html: absent.png",
        "index.html: #top",
    ]


@pytest.mark.slow
def test_the_website_is_built_without_warnings_and_dead_links(tool, tmp_path):
    """In a copy, so that two runs of the tests do not meet in site/."""
    copy = tmp_path / "copy"
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "mkdocs.yml"):
        copy.mkdir(exist_ok=True)
        shutil.copy(REPO / name, copy / name)
    for name in ("docs", "configs", "examples", "deploy", "benchmarks/codes", "benchmarks/results"):
        shutil.copytree(REPO / name, copy / name)
    shutil.copytree(REPO / "weights", copy / "weights", ignore=shutil.ignore_patterns("*.safetensors"))
    command = [sys.executable, copy / "docs" / "tools" / "website.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"{copy / 'site' / 'html' / 'index.html'}\n"
    assert tool("numbers_of_readme").headline() in (copy / "site" / "html" / "index.html").read_text()
    (copy / "docs" / "status.md").write_text("# Status\n\n[a](absent.md)\n")
    broken = subprocess.run(command, capture_output=True, text=True, check=False)
    assert broken.returncode == 1
    assert "page does not exist" in broken.stderr
