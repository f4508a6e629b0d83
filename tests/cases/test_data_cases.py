"""Odd CSV files, votes and row lists of users."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases.data_cases import FACES, data_of, error_of, run, train
from unit.fer_train.synthetic_faces import csv_row, write_votes

from fer_train.data import read_faces
from fer_train.data.consensus import COLUMNS
from fer_train.data.faces import EMOTIONS, Faces
from fer_train.data.readers.ferplus import VOTES
from fer_train.data.readers.vote_agreement import check_agreement
from fer_train.errors import DataError

pytestmark = pytest.mark.usefixtures("narrow")


def perfect_votes(faces: Faces) -> list[list[int]]:
    return [[10 * (column == COLUMNS[label]) for column in range(10)] for label in faces.labels]


# votes


def test_votes_that_fit_and_votes_of_the_next_row(tmp_path):
    votes = write_votes(tmp_path / "v.csv", FACES.splits.tolist(), perfect_votes(FACES))
    assert read_faces(data_of(tmp_path / "fit", FACES), ferplus=votes).votes is not None
    shifted = FACES.select(FACES.rows != 5)
    shifted = replace(shifted, splits=FACES.splits[:-1])  # each split is as long as before
    message = run(
        "audit",
        "--data",
        data_of(tmp_path / "shifted", shifted),
        "--ferplus",
        votes,
        "--out",
        tmp_path / "audit",
        code=4,
    )
    assert f"{votes} holds the votes of other faces: the most frequent vote is the label of" in message
    assert "Fix: fer2013.csv and fer2013new.csv as they were published, each with its rows in their own" in message
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize("order", ["shuffled", "sorted", "reversed"])
def test_rows_in_another_order_within_their_splits(tmp_path, order):
    votes = np.array(perfect_votes(FACES))
    for split in ("Training", "PublicTest"):
        places = np.flatnonzero(FACES.splits == split)
        other = {
            "shuffled": np.random.default_rng(1).permutation(places),
            "reversed": places[::-1],
            "sorted": places[np.argsort(FACES.labels[places], kind="stable")],
        }[order]
        votes[places] = votes[other]
    path = write_votes(tmp_path / "v.csv", FACES.splits.tolist(), votes.tolist())
    message = train(tmp_path, data_of(tmp_path / "data", FACES), "--ferplus", path, code=4, ferplus_share=0.5)
    assert "holds the votes of other faces" in message


def test_columns_of_the_votes_in_another_order_and_format(tmp_path):
    expected = np.array(perfect_votes(FACES))
    names = ["Usage", *VOTES[::-1], "Image name"]
    lines = [
        ";".join(names),
        *(";".join([split, *map(str, row[::-1]), ""]) for split, row in zip(FACES.splits, expected, strict=True)),
    ]
    path = tmp_path / "v.csv"
    path.write_text("\n".join(lines), encoding="utf-16")
    joined = read_faces(data_of(tmp_path / "data", FACES), ferplus=path)
    np.testing.assert_array_equal(joined.votes, expected)


@pytest.fixture(scope="module")
def published(shared_dir) -> Faces:
    """Labels and votes as published, without the pixels."""
    with (shared_dir / "fer2013" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return Faces(
        images=np.zeros((len(rows), 1, 1), np.uint8),
        labels=np.array([int(row["emotion"]) for row in rows]),
        splits=np.array([row["usage"] for row in rows]),
        rows=np.array([int(row["row"]) for row in rows]),
        source_sha256="",
        votes=np.array([[int(row[name]) for name in VOTES] for row in rows], dtype=np.uint8),
    )


def test_published_votes_fit(published):
    check_agreement(published, what="fer2013new.csv", fix="Fix: x")
    assert len(published) == 32298


@pytest.mark.parametrize("split", ["Training", "PublicTest"])
@pytest.mark.parametrize("order", ["shuffled", "sorted", "shifted", "150 rows shifted", "another class left out"])
def test_published_votes_in_another_order(published, split, order):
    places = np.flatnonzero(published.splits == split)
    few = places[1000:1150]
    votes = published.votes.copy()
    if order == "shuffled":
        votes[places] = votes[np.random.default_rng(2).permutation(places)]
    elif order == "sorted":
        votes[places] = votes[places[np.argsort(published.labels[places], kind="stable")]]
    elif order == "shifted":
        votes[places] = np.roll(votes[places], 1, axis=0)
    elif order == "150 rows shifted":
        votes[few] = np.roll(votes[few], 1, axis=0)
    else:  # a row left out and another one repeated further on
        votes[places[500:900]] = votes[places[501:901]]
    with pytest.raises(DataError, match=r"votes of other faces: .* by chance, the faces' own votes about 65%"):
        check_agreement(replace(published, votes=votes), what="fer2013new.csv", fix="Fix: x")


def test_both_sorted_alike_is_a_pair_that_fits(published):
    order = np.lexsort((published.labels, published.splits))
    votes, labels, splits = published.votes[order], published.labels[order], published.splits[order]
    check_agreement(replace(published, votes=votes, labels=labels, splits=splits), what="v", fix="")


# row lists


def listed(path: Path, rows: list[tuple[object, ...]], encoding="utf-8", delimiter=",") -> Path:
    lines = [delimiter.join(("row", "split", "label")), *(delimiter.join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines), encoding=encoding)
    return path


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8-sig", ";"), ("utf-16", "\t"), ("utf-8", ",")])
def test_list_of_this_data_leaves_its_rows_out(tmp_path, encoding, delimiter, caplog):
    path = listed(
        tmp_path / "exclude.csv", [(3, "Training", "happy"), (4, "training", "Sad"), (8, "", "1")], encoding, delimiter
    )
    with caplog.at_level("INFO"):
        train(tmp_path, data_of(tmp_path / "data", FACES), "--exclude", path)
    assert "leaves out 3 rows" in caplog.text


@pytest.mark.parametrize("flag", ["--exclude", "--twin-rows"])
def test_list_of_data_with_a_row_more(tmp_path, flag):
    path = listed(tmp_path / "exclude.csv", [(row, "Training", EMOTIONS[row % 7]) for row in (2, 8, 15)])
    fewer = FACES.select(FACES.rows != 5)
    message = train(tmp_path, data_of(tmp_path / "data", fewer), flag, path, code=4, protocol="clean")
    assert f"{flag} {path} line 3: the label of row 8 is 'disgust' in the list and 'fear' in this --data" in message
    assert "(2 of 3 rows differ)" in message
    assert "The list was made for another file. Fix: the list that fer-train audit writes for this --data" in message


def test_list_of_another_split_or_of_more_rows(tmp_path):
    data = data_of(tmp_path / "data", FACES)
    other = listed(tmp_path / "split.csv", [(2, "Training", ""), (3, "PublicTest", "")])
    assert "line 3: the split of row 3 is 'PublicTest' in the list and 'Training'" in train(
        tmp_path, data, "--exclude", other, code=4
    )
    (tmp_path / "long.txt").write_text("2\n900\n")
    assert "long.txt line 2 names row 900, the last row of this --data is 41" in train(
        tmp_path, data, "--exclude", tmp_path / "long.txt", code=4
    )


# CSV


def rows_of(faces: Faces, delimiter=",", quote="") -> list[str]:
    return [
        delimiter.join(f"{quote}{part}{quote}" for part in (label, " ".join(map(str, image.ravel())), split))
        for label, image, split in zip(faces.labels, faces.images, faces.splits, strict=True)
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_csv_of_any_program_is_read(tmp_path, delimiter, encoding, quote):
    few = FACES.select(FACES.rows < 5)
    header = delimiter.join(f"{quote}{name}{quote}" for name in ("emotion", "pixels", "Usage"))
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join([header, *rows_of(few, delimiter, quote), ""]), encoding=encoding)
    read = read_faces(path)
    np.testing.assert_array_equal(read.images, few.images)
    assert (read.labels.tolist(), read.splits.tolist()) == (few.labels.tolist(), few.splits.tolist())


@pytest.mark.parametrize("closing", [None, 9, 14])
@pytest.mark.parametrize("last", [True, False])
def test_open_quote_is_named_by_its_line(tmp_path, closing, last):
    """Where a later row holds a quote too, the rows between are one cell of a whole table."""
    notes = {3: '"smiles', closing: 'smiles"'}
    rows = [
        f"{row},{notes.get(i, 'ok')}" if last else f"{notes.get(i, 'ok')},{row}" for i, row in enumerate(rows_of(FACES))
    ]
    path = tmp_path / "fer2013.csv"
    header = "emotion,pixels,Usage,note" if last else "note,emotion,pixels,Usage"
    path.write_text("\n".join([header, *rows, ""]))
    message = error_of(path)
    assert f"{path} line 5: " in message
    assert "quote" in message


def test_column_that_is_there_twice(tmp_path):
    path = tmp_path / "fer2013.csv"
    path.write_text("emotion,pixels,Usage,emotion\n" + csv_row(FACES.images[0]) + ",4\n")
    assert "has the column emotion twice" in error_of(path)


# settings


def test_settings_that_do_not_fit_name_what_does(tmp_path):
    data = data_of(tmp_path / "data", FACES)
    for number in (8, 10**9):
        message = train(tmp_path, data, code=2, num_classes=number)
        assert f"num_classes is {number}, the data have 7 classes (angry, " in message
        assert "Fix: num_classes: 7; FER+'s labels have 8: labels: ferplus, with --ferplus" in message
    message = train(tmp_path, data, "--device", "mps", code=2)
    assert "unknown device 'mps': Apple's GPU is not supported" in message
    assert "Fix: --device cpu, or device: cpu in the config" in message
