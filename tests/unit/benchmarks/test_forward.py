import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.parametrize(("typed", "forwarded"), [
    (["--plan", "a.yaml", "--publish"], ["--plan", "a.yaml", f"--publish={BENCHMARKS / 'results'}"]),
    (["--add"], ["--add"]),
])  # fmt: skip
@pytest.mark.parametrize("name", ["runs", "sweep"])
def test_programs_that_moved_run_the_command_of_fer_train(monkeypatch, name, typed, forwarded):
    seen = []
    monkeypatch.setattr(sys, "argv", [f"benchmarks/{name}.py", *typed])
    monkeypatch.setattr("fer_train.__main__.main", lambda: seen.append(list(sys.argv)))
    runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
    assert seen == [["fer-train", name, *forwarded]]
