import io

import cv2
import numpy as np
import pytest
from rich.console import Console

from fer_train.errors import CheckpointError
from fer_train.evaluate import measure
from fer_train.report import metrics_table, plot_confusion, plot_history

LABELS = ["calm", "merry", "cross"]


def metrics_of(predicted):
    return measure(np.eye(3, dtype=np.float32)[predicted] * 5, np.array([0, 0, 1, 2]))


def read_png(path):
    assert path.read_bytes().startswith(b"\x89PNG")
    return cv2.imread(str(path)).astype(int)


def blueness(pixels):
    return (pixels[..., 0] - pixels[..., 2] > 60).mean()


def test_confusion_png_shows_the_counts(tmp_path):
    plot_confusion(metrics_of([0, 0, 1, 2]), LABELS, tmp_path / "right.png")
    plot_confusion(metrics_of([0, 1, 1, 1]), LABELS, tmp_path / "wrong.png")
    right, wrong = read_png(tmp_path / "right.png"), read_png(tmp_path / "wrong.png")
    assert min(right.shape[:2]) >= 600
    assert blueness(right) > 0.05
    assert blueness(wrong) > 0.05
    assert (right != wrong).mean() > 0.02


def test_class_without_faces_is_drawn(tmp_path):
    metrics = measure(np.eye(3, dtype=np.float32)[[0, 1]], np.array([0, 1]))
    plot_confusion(metrics, LABELS, tmp_path / "c.png")
    assert read_png(tmp_path / "c.png").std() > 10


def history(num_epochs):
    keys = ("train_loss", "loss", "train_accuracy", "accuracy", "f1", "precision", "recall", "learning_rate")
    return [
        {"epoch": epoch} | {key: 1.0 / (epoch + i + 1) for i, key in enumerate(keys)} for epoch in range(num_epochs)
    ]


@pytest.mark.parametrize("num_epochs", [1, 5])
def test_history_png_has_curves(tmp_path, num_epochs):
    plot_history(history(num_epochs), tmp_path / "history.png")
    pixels = read_png(tmp_path / "history.png")
    assert pixels.shape[1] >= 1000
    colored = (pixels.max(axis=2) - pixels.min(axis=2)) > 60
    height, width = colored.shape
    for rows in (slice(0, height // 2), slice(height // 2, None)):
        for columns in (slice(0, width // 2), slice(width // 2, None)):
            assert colored[rows, columns].any()


def test_png_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot write .*c\.png"):
        plot_confusion(metrics_of([0, 0, 1, 2]), LABELS, tmp_path / "file" / "c.png")


def test_table_has_a_row_a_class_and_the_averages():
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(metrics_table(metrics_of([0, 1, 1, 1]), title="net on PublicTest"))
    text = console.export_text()
    rows = {line.split("│")[1].strip(): line.split("│")[2:-1] for line in text.splitlines() if line.count("│") == 6}
    assert [cell.strip() for cell in rows["class_0"]] == ["1.000", "0.500", "0.667", "2"]
    assert [cell.strip() for cell in rows["macro"]] == ["0.444", "0.500", "0.389", "4"]
    assert "net on PublicTest" in text
    assert "accuracy 50.00%" in text
