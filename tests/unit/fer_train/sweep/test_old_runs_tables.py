"""Tables of `fer-train runs` in an older form."""

import json

import pytest
from unit.fer_train.sweep.runs_cases import HARDWARE, TEACHERS, call, provenance_of, rows_in, write_release


@pytest.fixture
def old_table(results):
    """Write a table of the form without steps: file names of one machine, and one hardware for all."""
    row = {
        "model": "net",
        "seed": 3,
        "start": "net1.safetensors",
        "teachers": ["senet1.safetensors"],
        "ferplus_share": 0.25,
        "plain": 0.5,
        "flip": 0.6,
        "f1": 0.4,
    }
    rows = [row | {"run": "net", "epochs": 9, "minutes": None}, row | {"run": "kd", "epochs": 2, "minutes": 4.0}]
    results.parent.mkdir()
    old = {"hardware": HARDWARE, "command": "python benchmarks/runs.py --run /far/kd", "runs": rows}
    results.with_suffix(".json").write_text(json.dumps(old))


@pytest.mark.usefixtures("old_table")
def test_rows_of_an_old_table_keep_their_figures_and_lose_names_of_files(results):
    call("--add")
    text = results.read_text()
    assert "| net |  | net | FER2013 |  |  | 0.25 | 3 | 9 |  |  |  |  | 50.00% | 60.00% | 0.4000 |" in text
    assert "| kd |  | net | FER2013 |  |  | 0.25 | 3 | 2 |  | 4 |  |  | 50.00% | 60.00% | 0.4000 |" in text
    assert "fer-train runs --add --out runs/table.md\n" in text
    assert "kept these rows, which earlier calls made: net, kd (date unknown).\n" in text
    assert "1.safetensors" not in text


@pytest.mark.usefixtures("old_table")
def test_release_of_an_old_row_whose_folder_is_gone_keeps_the_minutes_measured_then(tmp_path, results):
    path = write_release(tmp_path / "kd.safetensors", init=provenance_of(num_epochs=14), teachers=TEACHERS)
    call("--add", "--release", path)
    row = (
        "| kd |  | net | FER2013 | net checkpoint of 2026-11-23 10:58 | net 18c426cc | 0.25 | 3 | 2 of 9 "
        "| at most 16 (14 + 2) | 4 |"
    )
    assert row in results.read_text()


@pytest.mark.usefixtures("old_table")
def test_other_weights_do_not_replace_an_old_row_of_the_same_name(tmp_path, results):
    path = write_release(tmp_path / "kd.safetensors", plain=0.51)
    assert "Fix: --release NAME=kd.safetensors, " in call("--add", "--release", path, code=2).stderr
    call("--add", "--release", f"kd2={path}")
    assert [(row["run"], row["plain"]) for row in rows_in(results)] == [("net", 0.5), ("kd", 0.5), ("kd2", 0.51)]
