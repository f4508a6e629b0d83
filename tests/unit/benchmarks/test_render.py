"""The published reports are those of their .json, made again; every one of them can be compared."""

import json
import shutil
from pathlib import Path

import pytest
import render
from click.testing import CliRunner
from harness.comparing import changes_in_words
from harness.reports import text_of, write_shown

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"
FILES = {str(path.relative_to(RESULTS)): path for path in sorted(RESULTS.rglob("*.json"))}
OLD_FORM = {
    "intel-xeon-processor-2-80ghz-2-cores/2026-11-24-d82b2fb/latency.json": "latency.py wrote another form then",
    "runs_cpu_2026-12.json": "no benchmark is named runs_cpu_2026-12",  # a table of fer-train
}
"""Why no report is made of them again."""
RENDERED = sorted(set(FILES) - set(OLD_FORM))


@pytest.mark.parametrize("name", RENDERED)
def test_a_published_report_is_that_of_its_json(name):
    result, report = render.report_of(FILES[name])
    assert text_of(report, result) == FILES[name].with_suffix(".md").read_text()
    assert (report.chart is not None) == FILES[name].with_suffix(".png").exists()


@pytest.mark.parametrize("name", OLD_FORM)
def test_an_older_form_is_refused_with_the_reason(name):
    with pytest.raises(render.NotRenderedError, match=OLD_FORM[name]):
        render.report_of(FILES[name])


@pytest.mark.parametrize("name", RENDERED)
def test_a_published_result_can_be_compared(name):
    result, report = render.report_of(FILES[name])
    names = [one.name for one in report.measures]
    assert names
    assert len(names) == len(set(names))
    result["measures"] = [one.to_dict() for one in report.measures]
    assert changes_in_words(result, result).endswith(f"0 of {len(names)} figures changed beyond noise")


def test_figures_noted_by_a_run_are_those_of_its_json():
    noted = 0
    for name in RENDERED:
        result, report = render.report_of(FILES[name])
        if stored := result.get("measures"):
            assert [one.name for one in report.measures] == [one["name"] for one in stored]
            for bound in ("value", "low", "high"):
                found = [getattr(one, bound) for one in report.measures]
                assert found == pytest.approx([one[bound] for one in stored]), name
            noted += 1
    assert noted


def test_a_chart_is_drawn_again(tmp_path):
    (file,) = (path for name, path in FILES.items() if name.endswith("c99e0a0/fps.json"))
    done = CliRunner().invoke(render.main, [str(file), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fps.md", "fps.png"]
    assert (tmp_path / "fps.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_that_differs_is_told_and_not_changed(tmp_path):
    file, *_ = (path for name, path in FILES.items() if name.endswith("/startup.json"))
    shutil.copy(file, tmp_path)
    shutil.copy(file.with_suffix(".md"), tmp_path)
    told = CliRunner().invoke(render.main, [str(tmp_path), "--check"])
    assert (told.exit_code, told.output) == (0, f"{tmp_path / 'startup.md'}: the same\n")
    (tmp_path / "startup.md").write_text("# mended by hand\n")
    told = CliRunner().invoke(render.main, [str(tmp_path), "--check"])
    assert (told.exit_code, told.output) == (1, f"{tmp_path / 'startup.md'}: differs\n")
    assert (tmp_path / "startup.md").read_text() == "# mended by hand\n"


def test_sizes_of_batches_are_numbers_also_after_their_way_through_json(tmp_path):
    file, *_ = (path for name, path in FILES.items() if name.endswith("/cameras_on_triton.json"))
    result = json.loads(file.read_text())
    row = next(row for row in result["results"] if "server" in row)
    row["server"] |= {"batches": 7, "sizes": {"8": 3, "16": 4}}
    (tmp_path / "cameras_on_triton.json").write_text(json.dumps(result))
    read, report = render.report_of(tmp_path / "cameras_on_triton.json")
    write_shown(tmp_path / "a.md", read, report)
    (line,) = (
        line
        for line in (tmp_path / "a.md").read_text().splitlines()
        if f"{row['kind']} | {row['server']['requests']} " in line
    )
    assert line.split(" | ")[7] == "16"
