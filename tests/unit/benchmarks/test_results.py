import json
from dataclasses import replace
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner
from harness.comparing import Measure, change_of, changes_in_words, exact_measure, median_measure, share_measure
from harness.machine import machine_lines
from harness.reports import Report, write_results
from harness.results import Output, machine_name, output_options, run_name

from fer_deploy.bench.machine.host import BackgroundWork, Host
from fer_deploy.errors import ArtifactError
from fer_train.errors import DataError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def host() -> Host:
    return replace(Host.now(), commit="82f001f0123", is_dirty=False, started="2026-11-29T06:00:00+00:00", background=())


def report(result):
    return Report(f"# A\n\n{result['n']} thing\n", [Measure("ms", 2.0, 1.9, 2.1)])


def test_results_name_no_folder_of_the_machine(tmp_path):
    result = {"yunet": "/home/bob/yunet.onnx", "files": [["/tmp/tmp_x/a.jsonl"]], "n": 2}
    write_results(tmp_path / "a.md", result, Report("made with `--yunet /home/bob/yunet.onnx`\n"))
    assert (tmp_path / "a.md").read_text() == "made with `--yunet yunet.onnx`\n"
    found = json.loads((tmp_path / "a.json").read_text())
    assert found == {"yunet": "yunet.onnx", "files": [["a.jsonl"]], "n": 2}


def test_a_folder_for_each_machine(monkeypatch):
    monkeypatch.setattr("fer_train.hardware._cpu_name", lambda: "Intel(R) Xeon(R) Processor @ 2.80GHz")
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert machine_name(CPU) == "intel-xeon-processor-2-80ghz-2-cores"
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: "NVIDIA H100 80GB (HBM3)")
    assert machine_name(torch.device("cuda")) == "nvidia-h100-80gb-hbm3"


def test_a_folder_for_each_commit_which_says_whether_it_was_changed(host):
    assert run_name(host) == "2026-11-29-82f001f"
    assert run_name(replace(host, is_dirty=True)) == "2026-11-29-82f001f-changed"
    assert run_name(replace(host, commit=None, is_dirty=None)) == "2026-11-29"


def test_results_go_to_an_untracked_folder_and_are_published_only_on_request(tmp_path, monkeypatch, host):
    monkeypatch.setattr("harness.results.UNPUBLISHED", tmp_path / "artifacts")
    monkeypatch.setattr("harness.results.RESULTS", tmp_path / "results")
    inside, own = Path(machine_name(CPU), "2026-11-29-82f001f", "a.md"), tmp_path / "own.md"
    assert Output(report, None, False, host=host).paths("a", CPU) == [tmp_path / "artifacts" / inside]
    assert Output(report, own, False, host=host).paths("a", CPU) == [own]
    assert Output(report, own, True, host=host).paths("a", CPU) == [own, tmp_path / "results" / inside]


def test_a_result_names_its_host_and_what_can_be_compared(tmp_path, host):
    out = tmp_path / "a.md"
    Output(report, out, False, host=host).write("a", CPU, {"n": 1})
    found = json.loads(out.with_suffix(".json").read_text())
    assert (found["benchmark"], found["n"]) == ("a", 1)
    assert found["host"]["commit"] == "82f001f0123"
    assert found["host"]["load_after"] is not None
    assert found["measures"][0]["name"] == "ms"


def test_a_report_names_the_machine_once(tmp_path, host):
    busy = replace(host, background=(BackgroundWork(7, "fer-train train"),))
    Output(report, tmp_path / "a.md", False, host=busy).write("a", CPU, {"n": 1})
    text = (tmp_path / "a.md").read_text()
    assert text.startswith("# A\n\n1 thing\n\n")
    assert "; commit 82f001f012; load before " in text
    assert "**Other work of this project ran meanwhile: only ratios are meaningful.** `fer-train train`" in text

    def report_of_machine(result):
        return Report("\n".join(["# B", *machine_lines(result["host"]), ""]), names_machine=True)

    Output(report_of_machine, tmp_path / "b.md", False, host=busy).write("b", CPU, {})
    assert (tmp_path / "b.md").read_text().count("; commit 82f001f012; load before ") == 1


def test_a_report_is_made_from_what_the_file_holds(tmp_path, host):
    seen = []

    def report_of_sizes(result):
        seen.append(result["sizes"])
        return Report("# Sizes\n")

    Output(report_of_sizes, tmp_path / "a.md", False, host=host).write("a", CPU, {"sizes": {8: (1, 2)}})
    assert seen == [{"8": [1, 2]}] == [json.loads((tmp_path / "a.json").read_text())["sizes"]]


def test_a_result_tells_how_long_its_run_took(tmp_path, host):
    Output(report, tmp_path / "a.md", False, host=replace(Host.now(), background=())).write("a", CPU, {"n": 1})
    assert json.loads((tmp_path / "a.json").read_text())["run_seconds"] < 3600


@pytest.mark.parametrize("error", [ArtifactError("no model. Fix: export it"), DataError("no votes. Fix: --ferplus")])
def test_an_error_of_the_packages_is_a_line(error):
    @click.command()
    @output_options(report)
    def main(output):
        raise error

    done = CliRunner().invoke(main, [])
    assert (done.exit_code, done.output.splitlines()[-1]) == (1, f"Error: {error}")


class TestComparing:
    @pytest.mark.parametrize(
        ("new", "better", "verdict"),
        [
            (Measure("a", 12.0, 11.5, 12.5), "lower", "worse"),
            (Measure("a", 8.0, 7.5, 8.5), "lower", "better"),
            (Measure("a", 12.0, 11.5, 12.5), "higher", "better"),
            (Measure("a", 10.6, 10.4, 11.0), "lower", "within noise"),
            (Measure("a", 12.0), "lower", "noise unknown"),
        ],
    )
    def test_a_change_is_beyond_noise_if_the_intervals_are_apart(self, new, better, verdict):
        assert change_of(Measure("a", 10.0, 9.5, 10.5, better), replace(new, better=better)) == verdict

    def test_more_windows_narrow_the_interval(self):
        few, many = ([10.0, 11.0, 9.0] * number for number in (1, 20))
        wide, narrow = median_measure("a", few), median_measure("a", many)
        assert wide.value == narrow.value == 10.0
        assert (wide.low, wide.high) == (9.0, 11.0)
        assert narrow.high - narrow.low < 2.0

    def test_one_sample_tells_nothing_of_the_noise(self):
        old, new = (median_measure("a", [value]) for value in (1.0, 2.0))
        assert change_of(old, new) == "noise unknown"

    def test_a_figure_without_noise_changes_beyond_it(self):
        old, same, new = (exact_measure("a", value) for value in (1.0, 1.0, 1.001))
        assert (change_of(old, same), change_of(old, new)) == ("within noise", "worse")

    @pytest.mark.parametrize(
        ("share", "num", "low", "high"),
        [(0.5, 100, 0.4038, 0.5962), (0.0, 20, 0.0, 0.1611), (1.0, 20, 0.8389, 1.0)],
    )
    def test_shares_have_wilsons_interval(self, share, num, low, high):
        found = share_measure("a", share, num)
        assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))

    def result(self, *measures, hardware="A, 2 cores", background=()):
        return {
            "environment": {"hardware": hardware},
            "host": {"background": list(background)},
            "measures": [one.to_dict() for one in measures],
        }

    def test_changed_figures_come_first_and_are_counted(self):
        old = self.result(Measure("same", 1.0, 0.9, 1.1), Measure("slow", 1.0, 0.9, 1.1), Measure("gone", 1.0))
        new = self.result(Measure("same", 1.0, 0.9, 1.1), Measure("slow", 2.0, 1.9, 2.1), Measure("fresh", 1.0))
        assert changes_in_words(old, new).splitlines() == [
            "worse: slow: 1 [0.9, 1.1] before, 2 [1.9, 2.1] now (2.000 times)",
            "within noise: same: 1 [0.9, 1.1] before, 1 [0.9, 1.1] now (1.000 times)",
            "new: fresh",
            "no longer measured: gone",
            "1 of 2 figures changed beyond noise",
        ]

    def test_across_machines_only_ratios_are_compared(self):
        measures = (Measure("ms", 1.0, 0.9, 1.1), Measure("times", 8.0, 7.9, 8.1, "higher", is_ratio=True))
        text = changes_in_words(self.result(*measures), self.result(*measures, hardware="B, 4 cores"))
        assert "hardware differs: A, 2 cores before, B, 4 cores now" in text
        assert "another machine or version: only ratios are compared" in text
        assert "times: 8" in text
        assert "ms: " not in text

    def test_other_work_on_the_machine_is_named(self):
        one = Measure("ms", 1.0, 0.9, 1.1)
        busy = self.result(one, background=[{"pid": 1, "command": "fer-train train"}])
        assert "now, other work of this project ran on the machine" in changes_in_words(self.result(one), busy)


@click.command()
@output_options(report)
def benchmark(output: Output) -> None:
    output.write("test_results", CPU, {"hardware": "A", "n": 1})


def test_a_run_is_compared_with_an_earlier_one_or_its_folder(tmp_path):
    run = CliRunner().invoke
    first = run(benchmark, ["--out", str(tmp_path / "old" / "test_results.md")])
    assert first.exit_code == 0, first.output
    for old in (tmp_path / "old", tmp_path / "old" / "test_results.json"):
        second = run(benchmark, ["--out", str(tmp_path / "new.md"), "--compare", str(old)])
        assert "0 of 1 figures changed beyond noise" in second.output


def test_a_run_is_compared_with_one_from_before_figures_were_noted(tmp_path):
    (tmp_path / "old.json").write_text('{"hardware": "A", "n": 3}')
    done = CliRunner().invoke(benchmark, ["--out", str(tmp_path / "new.md"), "--compare", str(tmp_path / "old.json")])
    assert "within noise: ms: 2 [1.9, 2.1] before, 2 [1.9, 2.1] now" in done.output


def test_a_file_that_cannot_be_compared_is_refused_before_the_run(tmp_path):
    (tmp_path / "other.json").write_text('{"rows": []}')
    done = CliRunner().invoke(benchmark, ["--out", str(tmp_path / "a.md"), "--compare", str(tmp_path / "other.json")])
    assert done.exit_code == 2
    assert "other.json is no result of this benchmark" in done.output
    assert "Fix: the .json that an earlier run wrote" in done.output
    assert not (tmp_path / "a.md").exists()


def test_a_result_of_another_benchmark_is_refused(tmp_path):
    first = CliRunner().invoke(benchmark, ["--out", str(tmp_path / "a.md")])
    assert first.exit_code == 0, first.output
    other = json.loads((tmp_path / "a.json").read_text()) | {"benchmark": "fps"}
    (tmp_path / "fps.json").write_text(json.dumps(other))
    done = CliRunner().invoke(benchmark, ["--out", str(tmp_path / "b.md"), "--compare", str(tmp_path / "fps.json")])
    assert done.exit_code == 2
    assert "fps.json is no result of this benchmark (it is of fps)" in done.output


def test_work_beside_the_run_is_named_with_what_pauses_it(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "fer_deploy.bench.machine.host.background_work", lambda: (BackgroundWork(42, "fer-train train"),)
    )
    done = CliRunner().invoke(benchmark, ["--out", str(tmp_path / "a.md")])
    assert "beside this run: fer-train train; kill -STOP 42 pauses it" in done.output


def test_a_chart_that_fails_leaves_the_old_results(tmp_path):
    def fail(path):
        path.write_bytes(b"half")
        raise ValueError("no rows")

    path = tmp_path / "a.md"
    write_results(path, {"runs": [1]}, Report("# old\n", chart=lambda path: path.write_bytes(b"chart")))
    with pytest.raises(ValueError, match="no rows"):
        write_results(path, {"runs": [2]}, Report("# new\n", chart=fail))
    assert path.read_text() == "# old\n"
    assert path.with_suffix(".png").read_bytes() == b"chart"
    assert sorted(left.name for left in tmp_path.iterdir()) == ["a.json", "a.md", "a.png"]


def test_results_are_written_as_markdown_and_json_side_by_side(tmp_path):
    write_results(tmp_path / "new" / "a.md", {"runs": [1.5]}, Report("# A\n"))
    assert (tmp_path / "new" / "a.md").read_text() == "# A\n"
    assert json.loads((tmp_path / "new" / "a.json").read_text()) == {"runs": [1.5]}


def test_the_report_cannot_replace_the_json_beside_it(tmp_path):
    @click.command()
    @output_options(report)
    def speed(output):
        raise AssertionError

    done = CliRunner().invoke(speed, ["--out", str(tmp_path / "speed.json")])
    assert done.exit_code == 2
    assert "must end in .md. Fix: --out" in done.output
