"""An analysis that is killed goes on to the results that it would have had."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from integration import analyze_killed_often
from integration.analyze_killed_often import NUM_FRAMES, NUM_OF_PART
from integration.live_fakes import num_video_frames


@pytest.mark.slow
@pytest.mark.parametrize(("detect_every", "jobs", "kills", "part"), [(4, 1, 3, 0), (1, 2, 2, 0), (1, 1, 3, 1)])
def test_killed_often(detect_every, jobs, kills, part, tmp_path):
    (tmp_path / "whole").mkdir()
    tests = Path(analyze_killed_often.__file__).parents[1]
    path = {"PYTHONPATH": f"{tests}:{tests.parent}", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [
            sys.executable,
            analyze_killed_often.__file__,
            str(tmp_path),
            str(7 + detect_every),
            *map(str, (detect_every, jobs, kills, part)),
        ],
        env=path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int((tmp_path / "num_kills").read_text()) >= kills
    whole, killed = tmp_path / "whole/squares", tmp_path / "killed/squares"
    assert sorted(path.name for path in killed.iterdir()) == sorted(path.name for path in whole.iterdir())
    for name in ("faces.parquet", "faces.frames.parquet"):
        assert pq.read_table(killed / name).equals(pq.read_table(whole / name))
    for name in ("faces.csv", "faces.frames.csv", "summary.json", "report.html", "timeline.png", "annotated.mp4"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert num_video_frames(killed / "annotated.mp4") == (NUM_OF_PART if part else NUM_FRAMES)
