"""Reading of people.csv."""

import pytest

from fer_deploy.analyze.people.people_file import Entry, PeopleFile
from fer_deploy.errors import ConfigError


def load(tmp_path, text):
    path = tmp_path / "people.csv"
    path.write_text(text)
    return PeopleFile.load(path).entries


def test_names_and_drops(tmp_path):
    text = "\ufeffPerson;Track;Name;Drop;Video\n1;;Anna;;\n;7;;yes;a.mp4\n;;;;\n2;;Ben;no;\n"
    assert load(tmp_path, text) == (
        Entry(2, "", 1, None, "Anna", False),
        Entry(3, "a.mp4", None, 7, "", True),
        Entry(5, "", 2, None, "Ben", False),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("who,name\n1,Anna\n", "has the columns who, name, expected person or track, and name or drop. Fix: a first"),
        ("", "has 0 rows, expected a header. Fix: add what"),
        ("person,track,name\n1,2,Anna\n", "line 2: expected a person or a track"),
        ("person,name\n,Anna\n", "line 2: expected a person or a track"),
        ("person,name\n0,Anna\n", "line 2: person is '0'. Fix: a whole number from 1"),
        ("person,name\none,Anna\n", "line 2: person is 'one'. Fix: a whole number from 1"),
        ("person,name,drop\n1,Anna,maybe\n", "line 2: drop is 'maybe'. Fix: yes or no"),
        ("person,name,drop\n1,Anna,yes\n", "line 2: both a name and drop. Fix: write one of them"),
        ("person,name,drop\n1,,no\n", "line 2: neither a name nor drop"),
    ],
)
def test_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_unreadable(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*none.csv: No such file"):
        PeopleFile.load(tmp_path / "none.csv")
