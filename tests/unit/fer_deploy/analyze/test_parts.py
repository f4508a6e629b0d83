"""What no checkpoint counts is removed."""

from fer_deploy.analyze.parts import Parts

KEPT = ["000000.csv", "000000.frames.parquet", "000001.mp4", "checkpoint.json", "lock"]
LEFT_OVER = ["000001.77.part.mp4", "000002.csv", "000002.frames.csv", "checkpoint.77.part.json", "notes.txt"]


def test_remove_beyond(tmp_path):
    for name in (*KEPT, *LEFT_OVER):
        (tmp_path / name).touch()
    (tmp_path / "000002.77.part.parquet").mkdir()
    Parts(tmp_path).remove_beyond(2)
    assert sorted(path.name for path in tmp_path.iterdir()) == KEPT


def test_clear_forgets_the_checkpoint(tmp_path):
    for name in KEPT:
        (tmp_path / name).touch()
    Parts(tmp_path).clear()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
