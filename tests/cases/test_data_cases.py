"""The rows of the table "data", each with its right value, and other inputs of the same kinds; random pixels."""

import csv
import json
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import save_file
from unit.fer_train.synthetic_faces import csv_row, make_faces, tiny_config, write_csv, write_votes

from fer_deploy.errors import ArtifactError
from fer_deploy.export.checkpoint import load_checkpoint
from fer_train.checkpoint import SPEC_KEY, load_release, save_release
from fer_train.cli import main
from fer_train.data import read_faces
from fer_train.data.consensus import COLUMNS
from fer_train.data.faces import EMOTIONS, Faces
from fer_train.data.readers.ferplus import VOTES
from fer_train.data.readers.vote_agreement import check_agreement
from fer_train.errors import CheckpointError, DataError
from fer_train.models import build_model
from fer_train.spec import describe_model

pytestmark = pytest.mark.usefixtures("narrow")
FACES = make_faces(Training=28, PublicTest=14)


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setattr("fer_train.models.net.STAGE_CHANNELS", (4, 8, 8, 8))
    monkeypatch.setattr("fer_train.training.session.plot_history", lambda *_: None)
    monkeypatch.setattr("fer_train.training.session._plot_final", lambda *_: None)


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, (result.output, result.exception)
    return result.stderr


def train(folder: Path, data: Path, *args, code=0, **changes):
    path = folder / "config.yaml"
    values = {"num_epochs": 1, "batch_size": 7} | changes
    path.write_text(yaml.safe_dump(tiny_config(**values).model_dump(mode="json")))
    return run("train", "--config", path, "--data", data, "--out", folder / "out", "--no-tensorboard", *args, code=code)


def perfect_votes(faces: Faces) -> list[list[int]]:
    return [[10 * (column == COLUMNS[label]) for column in range(10)] for label in faces.labels]


def data_of(folder: Path, faces: Faces) -> Path:
    folder.mkdir(exist_ok=True)
    return write_csv(folder / "fer2013.csv", faces)


def error_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_faces(path)
    assert "Fix: " in str(caught.value)
    return str(caught.value)


# votes


def test_votes_that_fit_and_votes_of_the_next_row(tmp_path):
    votes = write_votes(tmp_path / "v.csv", FACES.splits.tolist(), perfect_votes(FACES))
    assert read_faces(data_of(tmp_path / "fit", FACES), ferplus=votes).votes is not None
    shifted = FACES.select(FACES.rows != 5)
    shifted = replace(shifted, splits=FACES.splits[:-1])  # each split is as long as before
    message = run("audit", "--data", data_of(tmp_path / "shifted", shifted), "--ferplus", votes, "--out",
                  tmp_path / "audit", code=4)  # fmt: skip
    assert f"{votes} holds the votes of other faces: the most frequent vote is the label of" in message
    assert "Fix: fer2013.csv and fer2013new.csv as they were published, each with its rows in their own" in message
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize("order", ["shuffled", "sorted", "reversed"])
def test_rows_in_another_order_within_their_splits(tmp_path, order):
    votes = np.array(perfect_votes(FACES))
    for split in ("Training", "PublicTest"):
        places = np.flatnonzero(FACES.splits == split)
        other = {"shuffled": np.random.default_rng(1).permutation(places), "reversed": places[::-1],
                 "sorted": places[np.argsort(FACES.labels[places], kind="stable")]}[order]  # fmt: skip
        votes[places] = votes[other]
    path = write_votes(tmp_path / "v.csv", FACES.splits.tolist(), votes.tolist())
    message = train(tmp_path, data_of(tmp_path / "data", FACES), "--ferplus", path, code=4, ferplus_share=0.5)
    assert "holds the votes of other faces" in message


def test_columns_of_the_votes_in_another_order_and_format(tmp_path):
    expected = np.array(perfect_votes(FACES))
    names = ["Usage", *VOTES[::-1], "Image name"]
    lines = [";".join(names), *(";".join([split, *map(str, row[::-1]), ""]) for split, row in
                                zip(FACES.splits, expected, strict=True))]  # fmt: skip
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
        images=np.zeros((len(rows), 1, 1), np.uint8), labels=np.array([int(row["emotion"]) for row in rows]),
        splits=np.array([row["usage"] for row in rows]), rows=np.array([int(row["row"]) for row in rows]),
        source_sha256="", votes=np.array([[int(row[name]) for name in VOTES] for row in rows], dtype=np.uint8),
    )  # fmt: skip


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
    path = listed(tmp_path / "exclude.csv", [(3, "Training", "happy"), (4, "training", "Sad"), (8, "", "1")], encoding,
                  delimiter)  # fmt: skip
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
    rows = [f"{row},{notes.get(i, 'ok')}" if last else f"{notes.get(i, 'ok')},{row}" for i, row in
            enumerate(rows_of(FACES))]  # fmt: skip
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


# image folders


def folder_of(root: Path, faces: Faces = FACES, suffix=".png", stem=str, test="test") -> Path:
    for image, label, split, row in zip(faces.images, faces.labels, faces.splits, faces.rows, strict=True):
        place = root / ("train" if split == "Training" else test) / EMOTIONS[label]
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{stem(row)}{suffix}"), image)
    return root


def test_nested_folders_other_formats_and_names_that_are_no_utf8(tmp_path, caplog):
    root = folder_of(tmp_path / "data")
    inner = root / "train" / "happy" / "person1" / "day2"
    inner.mkdir(parents=True)
    (root / "train" / "happy" / "3.png").rename(inner / "3.png")
    for suffix, row in ((".webp", 10), (".tiff", 17), (".jfif", 24)):
        old = root / "train" / "happy" / f"{row}.png"
        encoded = cv2.imencode(suffix.replace("jfif", "jpg"), FACES.images[row])[1]
        old.with_suffix(suffix.upper()).write_bytes(encoded.tobytes())
        old.unlink()
    (root / "test" / "sad" / "32.png").rename(root / "test" / "sad" / "fr\udcf6hlich.png")
    for name in ("a.heic", "b.heic", "notes.txt"):
        (root / "train" / "sad" / name).write_bytes(b"x")
    (root / "extra").mkdir()
    (root / "extra" / "1.png").write_bytes(b"x")
    read = read_faces(root)
    assert read.counts() == {"Training": 28, "test": 14}
    np.testing.assert_array_equal(np.bincount(read.labels), np.bincount(FACES.labels))
    assert "3 files are not read (2 .heic, 1 .txt): train/sad/a.heic, train/sad/b.heic" in caplog.text
    assert "extra/ is not read: it holds 1 files" in caplog.text


def test_empty_class_is_said(tmp_path, caplog):
    root = folder_of(tmp_path, FACES.select(FACES.labels != 3))
    (root / "train" / "happy").mkdir()
    assert read_faces(root).counts() == {"Training": 24, "test": 12}
    assert "train/ holds no picture of happy" in caplog.text


def test_val_and_validation_are_splits_of_their_own(tmp_path):
    root = folder_of(tmp_path)
    for name in ("val", "validation"):
        folder_of(root, FACES.select(FACES.splits == "PublicTest"), test=name)
    assert read_faces(root).counts() == {"Training": 28, "test": 14, "val": 14, "validation": 14}
    (root / "Training").mkdir()
    assert "holds Training/ and train/, both for the split Training. Fix: keep one" in error_of(root)


def test_folders_win_over_names_that_contradict_them(tmp_path, caplog):
    root = folder_of(tmp_path, stem=lambda row: f"{'Training' if row % 3 else 'PublicTest'}_{row}")
    assert read_faces(root).counts() == {"Training": 28, "test": 14}
    assert "of 42 file names name another split than their folder (train/angry/PublicTest_0.png" in caplog.text


def test_names_that_fit_their_folders_give_the_splits(tmp_path, caplog):
    root = folder_of(tmp_path, stem=lambda row: f"{FACES.splits[row]}_{row}")
    read = read_faces(root)
    assert read.counts() == {"Training": 28, "PublicTest": 14}
    assert sorted(read.rows.tolist()) == FACES.rows.tolist()
    assert caplog.text == ""


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tiff", ".png", ".bmp"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_file_that_ends_early(tmp_path, suffix, share):
    root = folder_of(tmp_path, suffix=suffix)
    path = root / "train" / "happy" / f"3{suffix}"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert f"{path} cannot be decoded as an image" in error_of(root)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("side", [8_000, 40_000])
def test_header_that_announces_a_huge_picture(tmp_path, side):
    root = folder_of(tmp_path)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    (root / "train" / "happy" / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + end)
    assert "huge.png cannot be decoded as an image: its header announces " in error_of(root)


def test_bytes_of_a_broken_files_name_are_shown_escaped(tmp_path):
    root = folder_of(tmp_path)
    path = os.fsencode(root / "train" / "happy") + b"/fr\xf6hlich.png"
    with open(path, "wb") as file:
        file.write(b"no picture")
    message = run("audit", "--data", root, "--out", tmp_path / "audit", code=4)
    assert r"happy/fr\xf6hlich.png cannot be decoded as an image" in message


def test_folder_that_holds_the_csv(tmp_path):
    path = data_of(tmp_path / "data", FACES)
    assert f"data is a folder with fer2013.csv in it, and has no train/<class>/ images. Fix: --data {path}" in error_of(
        path.parent
    )


# checkpoints


@pytest.fixture
def model():
    torch.manual_seed(4)
    net = build_model("net", num_classes=7)
    with torch.no_grad():
        net.classifier.weight.mul_(500)
    return net.eval()


def release_of(path: Path, model, **changes) -> Path:
    spec = describe_model(tiny_config(), FACES, {}) | changes
    save_release(path, model, {name: value for name, value in spec.items() if value is not None})
    return path


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["classifier.bias", "features.0.1.running_var", "features.3.1.running_mean"])
def test_values_that_are_not_finite_are_refused_everywhere(tmp_path, model, name, value):
    good = release_of(tmp_path / "good.safetensors", model)
    model.state_dict()[name][0] = value
    bad = release_of(tmp_path / "bad.safetensors", model)
    data = data_of(tmp_path / "data", FACES)
    both = ["--checkpoint", good, "--checkpoint", bad, "--data", data]
    commands = [
        ["evaluate", "--checkpoint", bad, "--data", data], ["evaluate", "--checkpoint", bad, "--data", data, "--json"],
        ["release", "--checkpoint", bad, "--data", data, "--out", tmp_path / "r.safetensors"],
        ["soup", *both, "--out", tmp_path / "s.safetensors"], ["ensemble", *both, "--out", tmp_path / "e.json"],
    ]  # fmt: skip
    for command in commands:
        assert f"{bad}: {name} holds 1 of " in run(*command, code=4)
    assert f"{name} holds 1 of " in train(tmp_path, data, "--init", bad, code=4)
    with pytest.raises(ArtifactError, match="values that are not finite"):
        load_checkpoint(bad)
    assert not list(tmp_path.glob("[rse].*"))


def test_weights_too_large_to_compute_with(tmp_path, model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1e30)
    path = release_of(tmp_path / "huge.safetensors", model)
    message = run("evaluate", "--checkpoint", path, "--data", data_of(tmp_path / "d", FACES), "--json", code=4)
    assert "logits that are not finite for 14 of 14 faces: its weights are too large" in message


ORDER = [6, 3, 0, 5, 1, 2, 4]


def permuted(model):
    with torch.no_grad():
        for part in (model.classifier.weight, model.classifier.bias):
            part.copy_(part[ORDER].clone())
    return model


def test_labels_in_another_order_go_by_name(tmp_path, model):
    plain = release_of(tmp_path / "plain.safetensors", model)
    turned = release_of(tmp_path / "turned.safetensors", permuted(model), labels=[EMOTIONS[i] for i in ORDER])
    one, other = load_release(plain), load_release(turned)
    assert other[1]["labels"] == list(EMOTIONS)
    assert all(torch.equal(value, other[0].state_dict()[name]) for name, value in one[0].state_dict().items())
    checkpoint = load_checkpoint(turned)
    deployed, spec = checkpoint.model, checkpoint.spec
    assert list(spec.labels) == list(EMOTIONS)
    assert torch.equal(deployed.classifier.bias, one[0].classifier.bias)


def test_labels_in_another_order_are_measured_as_if_they_were_not(tmp_path, model):
    data = data_of(tmp_path / "data", FACES)
    plain = release_of(tmp_path / "plain.safetensors", model)
    turned = release_of(tmp_path / "turned.safetensors", permuted(model), labels=[EMOTIONS[i] for i in ORDER])
    printed = []
    for path in (plain, turned):
        result = CliRunner().invoke(main, ["evaluate", "--checkpoint", str(path), "--data", str(data), "--json"])
        printed.append(json.loads(result.stdout)["views"])
        out = tmp_path / f"{path.stem}-fp16.safetensors"
        run("release", "--checkpoint", path, "--data", data, "--out", out)
    assert printed[0] == printed[1]
    first, second = (load_release(tmp_path / f"{name}-fp16.safetensors")[1] for name in ("plain", "turned"))
    assert (first["metrics"], first["labels"]) == (second["metrics"], second["labels"])


@pytest.mark.parametrize(
    ("labels", "seen"),
    [
        ("x" * 5_000_000, "characters, expected at most 1,000,000"),
        ("x" * 7, "labels: Input should be a valid list"),
        ([f"label {i}" for i in range(10_001)], "labels: List should have at most 10000 items"),
        (["a" * 201, *EMOTIONS[1:]], "labels: label 0 is 'aaa"),
        (["angry", *EMOTIONS[:6]], "labels: the label 'angry' occurs twice"),
        (["Unsure", *EMOTIONS[:6]], "labels: a label must not be called 'Unsure'"),
        ([1, *EMOTIONS[1:]], "labels.0: Input should be a valid string"),
        (["", *EMOTIONS[1:]], "labels: label 0 is ''"),
        (["a\x1b[2J", *EMOTIONS[1:]], "expected 1 to 200 printable characters"),
        (EMOTIONS[:6], r"classifier.weight has the shape (7, 8), expected (6, 8)"),
        (["only"], "labels: List should have at least 2 items"),
    ],
)
def test_labels_that_no_model_can_have(tmp_path, model, monkeypatch, labels, seen):
    path = release_of(tmp_path / "m.safetensors", model, labels=labels)
    if labels != EMOTIONS[:6]:
        monkeypatch.setattr("fer_train.checkpoint.build_model", lambda *_, **__: pytest.fail("a model was built"))
    with pytest.raises(CheckpointError) as caught:
        load_release(path)
    assert seen in str(caught.value)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda t: t | {"classifier.bias": t["classifier.bias"].to(torch.int8)}, "is of type I8, expected F16 or BF16"),
        (lambda t: t | {"classifier.bias": t["classifier.bias"].double() * 1e300 * 1e9}, "values that are not finite"),
        (lambda t: t | {"classifier.bias": torch.zeros(7, 1)}, "has the shape (7, 1), expected (7,)"),
        (lambda t: t | {"more": torch.zeros(2)}, "1 tensors are foreign: more"),
        (lambda t: {n: v for n, v in t.items() if n != "classifier.bias"}, "1 tensors are missing: classifier.bias"),
        (lambda t: t | {"features.0.1.running_var": -torch.ones(4)}, "running_var holds a variance below 0: -1"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit(tmp_path, model, change, seen):
    spec = describe_model(tiny_config(), FACES, {})
    with torch.no_grad():
        model.classifier.bias.fill_(1.0)
    path = tmp_path / "m.safetensors"
    save_file(change(model.state_dict()), path, metadata={SPEC_KEY: json.dumps(spec)})
    with pytest.raises(CheckpointError) as caught:
        load_release(path)
    assert seen in str(caught.value)


def test_eight_labels_with_contempt_are_as_good_as_seven(tmp_path):
    eight = build_model("net", num_classes=8)
    path = release_of(tmp_path / "eight.safetensors", eight, labels=["contempt", *EMOTIONS], label_set="ferplus")
    assert load_release(path)[1]["labels"] == [*EMOTIONS, "contempt"]


@pytest.mark.parametrize("name", ["resnet18.pth", "weights.pt", "model.bin", "old.pth"])
def test_file_of_torch_save_that_is_no_checkpoint(tmp_path, model, name):
    path = tmp_path / name
    torch.save({"state_dict": model.state_dict()}, path, _use_new_zipfile_serialization=name != "old.pth")
    data = data_of(tmp_path / "data", FACES)
    for message in (
        run("evaluate", "--checkpoint", path, "--data", data, code=4), train(tmp_path, data, "--init", path, code=4)
    ):  # fmt: skip
        assert f"{path} is a torch.save file that fer-train did not write. Fix: a .safetensors file" in message
        assert f"pretrained: {path}" in message


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
