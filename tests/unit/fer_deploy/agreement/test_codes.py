"""Reading of human codes."""

import pytest

from fer_deploy.agreement.codes import Code, codes_from_csv
from fer_deploy.errors import ConfigError


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "codes.csv"
    path.write_bytes(text.encode(encoding))
    return codes_from_csv(path)


def test_moments_intervals_and_boxes(tmp_path):
    codes = read(
        tmp_path,
        "video,person,track,time,start,end,frame,x1,y1,x2,y2,label,participant\n"
        "a.mp4,1,,0:02.5,,,,,,,,Happy,P7\n"
        ",,3,,1,2,,,,,,sad,\n"
        ",,,,,,41,10,20,30,40,neutral,\n"
        ",,,,,,,,,,,,\n",
    )
    assert codes == [
        Code(2, "a.mp4", "happy", start_s=2.5, end_s=2.5, person=1, participant="P7"),
        Code(3, "", "sad", start_s=1.0, end_s=2.0, track=3),
        Code(4, "", "neutral", frame=41, box_xyxy=(10, 20, 30, 40)),
    ]
    assert [code.is_interval for code in codes] == [False, True, False]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_of_spreadsheets(tmp_path, delimiter):
    text = "Label,Frame,comment\r\nhappy,3,x\r\n".replace(",", delimiter)
    assert read(tmp_path, text, "utf-8-sig") == [Code(2, "", "happy", frame=3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("emotion,frame\nhappy,1\n", "has the columns emotion, frame, and none is label. Fix: a first line with label"),
        ("", "has 0 rows, expected a header and at least one row"),
        ("label,frame\n", "has 1 rows, expected a header and at least one row"),
        ("label,frame\n,1\n", "line 2: no label"),
        ("label,frame\nsad,\n", "line 2: neither frame nor time_s, nor start_s and end_s"),
        ("label,frame,time_s\nsad,1,2\n", "line 2: both a frame and a time"),
        ("label,start\nsad,1\n", "line 2: expected time_s alone, or start_s and end_s"),
        ("label,start,end\nsad,2,1\n", "line 2: the interval ends at 1 s and starts at 2 s. Fix: an end"),
        ("label,frame\nsad,1.5\n", "line 2: frame is '1.5'. Fix: a whole number"),
        ("label,time\nsad,nan\n", "line 2: neither frame nor time_s"),
        ("label,time\nsad,0:62\n", "line 2: time_s is '0:62', which is no time"),
        ("label,frame,x1,y1,x2\nsad,1,2,3,4\n", "line 2: x1, y1, x2, y2 are no box"),
        ("label,frame,x1,y1,x2,y2\nsad,1,9,3,4,5\n", "line 2: x1, y1, x2, y2 are no box"),
        ("label,start,end,x1,y1,x2,y2\nsad,1,2,1,3,4,5\n", "line 2: a box with an interval; faces move"),
        ("label,frame,person,track\nsad,1,2,3\n", "line 2: more than one of person, track and box"),
    ],
)
def test_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text)


def test_unreadable_file(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*none.csv: No such file"):
        codes_from_csv(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match=r"line 2: not UTF-8. Fix: save it as UTF-8"):
        read(tmp_path, "label,frame\nglück,1\n", "latin-1")
