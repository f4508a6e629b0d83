"""Columns of the user for each video."""

from pathlib import Path

import pytest

from fer_deploy.analyze.events.participants import read_participants
from fer_deploy.errors import ConfigError


def participants_of(tmp_path, text):
    (tmp_path / "people.csv").write_text(text)
    return read_participants(tmp_path / "people.csv")


def test_by_name_and_by_stem(tmp_path):
    found = participants_of(tmp_path, "Video,group,Age\na.mp4,control,31\nb,film\n")
    assert found.of_video(Path("in/a.mp4")) == {"group": "control", "Age": "31"}
    assert found.of_video(Path("b.mov")) == {"group": "film", "Age": ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,group\na.mp4,x\n", "has the columns file, group, expected video and at least one more"),
        ("video\na.mp4\n", "expected video and at least one more"),
        ("video,group\na.mp4,x\na.mp4,y\n", "line 3: the video a.mp4 a second time"),
        ("video,group\n,x\n", "line 2: no video"),
    ],
)
def test_faults(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        participants_of(tmp_path, text)


def test_not_one_row(tmp_path):
    found = participants_of(tmp_path, "video,group\na.mp4,x\na,y\n")
    with pytest.raises(ConfigError, match=r"two rows of a.mp4: a.mp4 and a. Fix: one row with a.mp4"):
        found.of_video(Path("a.mp4"))
    with pytest.raises(ConfigError, match=r"no row of c.mp4. Fix: one row with c.mp4"):
        found.of_video(Path("c.mp4"))
