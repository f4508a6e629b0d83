import io

import cv2
import numpy as np
import pytest
from matplotlib.text import Text
from rich.console import Console

from fer_train.data.faces import Faces
from fer_train.errors import CheckpointError
from fer_train.evaluation import plots
from fer_train.evaluation.evaluate import Evaluation
from fer_train.evaluation.metrics import measure
from fer_train.evaluation.plots import (
    plot_confusion,
    plot_degraded,
    plot_history,
    plot_precision_recall,
    plot_reliability,
    write_plots,
)
from fer_train.evaluation.tables import metrics_table, summary_table

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


@pytest.mark.parametrize(("num_epochs", "marker", "num_values"), [(1, 9, 1), (2, 3, 0)])
def test_one_epoch_is_a_point_with_its_value(tmp_path, monkeypatch, num_epochs, marker, num_values):
    drawn = []
    monkeypatch.setattr(plots, "_save", lambda figure, _: drawn.append(figure))
    plot_history(history(num_epochs), tmp_path / "history.png")
    panels = drawn[0].axes[:-1]
    curves = [line for panel in panels for line in panel.get_lines() if len(line.get_xdata()) == num_epochs]
    is_best = [line.get_label() == "best epoch" for panel in panels for line in panel.get_lines()]
    assert sum(is_best) == (0 if num_epochs == 1 else 5)
    points = [line for line in curves if line.get_label() != "best epoch"]
    assert [line.get_markersize() for line in points] == [marker] * 8
    assert [text.get_text() for text in panels[0].texts] == ["1", "0.5"][: 2 * num_values]
    assert [panel.get_xlim() for panel in panels] == [(0, 2)] * 5 if num_epochs == 1 else True


@pytest.mark.parametrize("num_epochs", [1, 5])
def test_history_png_has_curves(tmp_path, num_epochs):
    plot_history(history(num_epochs), tmp_path / "history.png")
    pixels = read_png(tmp_path / "history.png")
    assert pixels.shape[1] >= 1000
    colored = (pixels.max(axis=2) - pixels.min(axis=2)) > 60
    height, width = colored.shape
    halves = (colored[: height // 2], colored[height // 2 :])
    panels = [half[:, i * width // 3 : (i + 1) * width // 3] for half in halves for i in range(3)]
    assert all(panel.any() for panel in panels[:-1])
    assert not panels[-1].any()  # numbers of the best epoch, in black


def drawn_texts(monkeypatch, draw):
    """Return every text of the figures that `draw()` saves."""
    texts = []

    def savefig(figure, path, **_):
        texts.extend(text.get_text() for text in figure.findobj(Text))
        path.write_bytes(b"")

    with monkeypatch.context() as patch:
        patch.setattr("fer_train.evaluation.plots.Figure.savefig", savefig)
        draw()
    return texts


def test_history_names_the_best_epoch_and_its_measures(tmp_path, monkeypatch):
    rows = history(3)
    rows[1]["accuracy"] = 0.9
    texts = "\n".join(drawn_texts(monkeypatch, lambda: plot_history(rows, tmp_path / "h.png")))
    assert "epoch 2 of 3 is the best, by validation accuracy" in texts
    assert "accuracy         0.9000" in texts
    for title in ("loss", "macro F1, validation", "macro precision and recall, validation", "learning rate at"):
        assert title in texts


def test_confusion_shows_counts_and_rates_under_its_title(tmp_path, monkeypatch):
    metrics = metrics_of([0, 1, 1, 1])
    texts = drawn_texts(monkeypatch, lambda: plot_confusion(metrics, LABELS, tmp_path / "c.png", title="net, plain"))
    assert texts.count("50.0") == 2  # class 0: one of two right
    assert texts.count("100.0") == 2  # classes 1 and 2, all predicted as 1
    assert texts.count("1") == 4
    assert "net, plain: accuracy 50.00%, macro F1 0.389, 4 faces" in texts
    assert "calm (2)" in texts


PROBS = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.3, 0.44, 0.26]], np.float32)


def test_reliability_png_says_ece_confidence_and_accuracy(tmp_path, monkeypatch):
    """Right at 0.7 and 0.8, wrong at 0.5 and 0.44: every bin holds one face."""
    labels = np.array([0, 0, 1, 2])
    plot_reliability(PROBS, labels, tmp_path / "r.png", title="net, plain")
    assert read_png(tmp_path / "r.png").std() > 20
    texts = drawn_texts(monkeypatch, lambda: plot_reliability(PROBS, labels, tmp_path / "r.png", title="net, plain"))
    assert "net, plain\nECE 0.360, mean confidence 61.0%, accuracy 50.0%" in texts


def test_precision_recall_png_names_average_precisions_and_classes_without_a_face(tmp_path, monkeypatch):
    """Class 0: ranked 0.7 (right), 0.3, 0.2 (right), so AP = (1 + 2 / 3) / 2. Class 1: its only face comes first."""
    labels = np.array([0, 0, 1, 1])[:3]
    probs = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.3, 0.6, 0.1]], np.float32)
    plot_precision_recall(probs, labels, LABELS, tmp_path / "p.png")
    assert read_png(tmp_path / "p.png").shape[0] >= 600
    texts = drawn_texts(
        monkeypatch, lambda: plot_precision_recall(probs, labels, LABELS, tmp_path / "p.png", title="t")
    )
    assert "calm (2): AP 0.833" in texts
    assert "merry (1): AP 1.000" in texts
    assert "cross: no face" in texts
    assert "t: mean average precision 0.917" in texts


@pytest.fixture
def evaluation():
    """Four faces of a split, the last with a twin in Training, in two views."""
    faces = Faces(
        np.zeros((4, 48, 48), np.uint8), np.array([0, 0, 1, 2]), np.array(["PublicTest"] * 4), np.arange(4), ""
    )
    logits = {"plain": np.log(PROBS), "flip": np.log(PROBS[:, ::-1].copy())}
    return Evaluation("PublicTest", LABELS, faces, logits, np.array([True, True, True, False]), "")


def test_plots_of_an_evaluation(tmp_path, evaluation):
    paths = write_plots(evaluation, tmp_path / "plots", model="net.safetensors")
    assert [path.name for path in paths] == [
        "PublicTest-confusion.png",
        "PublicTest-reliability.png",
        "PublicTest-precision-recall.png",
    ]
    assert all(read_png(path).std() > 10 for path in paths)


def cells(table, width=80):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_summary_labels_every_column_with_view_and_protocol(evaluation):
    text = cells(summary_table(evaluation, title="net on PublicTest"))
    views, protocols = (line.split() for line in text.splitlines()[2:4])
    assert views == ["plain", "plain", "flip", "flip"]
    assert protocols == ["official", "clean", "official", "clean"]
    rows = {line[:16].strip(): line[16:].split() for line in text.splitlines()[5:]}
    assert rows["faces"] == ["4", "3", "4", "3"]
    assert rows["accuracy"] == ["50.00%", "66.67%", "25.00%", "33.33%"]
    assert rows["Brier (0 to 2)"][0] == f"{evaluation.official().brier:.3f}"
    assert "net on PublicTest" in text


def test_summary_of_three_views_fits_into_80_characters(evaluation):
    evaluation.logits["tencrop"] = evaluation.logits["plain"]
    text = cells(summary_table(evaluation, title="net"))
    assert "…" not in text
    assert text.count("\n") < 20
    assert next(line for line in text.splitlines() if "accuracy" in line).count("%") == 6


def test_summary_without_clean_has_no_such_column(evaluation):
    faces, logits = evaluation.faces, evaluation.logits
    text = cells(summary_table(Evaluation("PublicTest", LABELS, faces, logits, None, "why"), title="net"))
    assert "official" in text
    assert "clean" not in text


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


def degraded_rows():
    rows = [("clean", 0.0, 0.87), ("dim and soft", 1.2, 0.81)]
    rows += [("blur", sigma, 0.86 - 0.1 * sigma) for sigma in (0.5, 1.2, 3.0)]
    rows += [("contrast", std, 0.2 + 0.016 * std) for std in (40.0, 6.0)]
    rows += [("size", side, 0.4 + 0.01 * side) for side in (36.0, 10.0)] + [("tilt", 10.0, 0.85), ("tilt", 45.0, 0.6)]
    return [{"what": what, "amount": amount, "accuracy": accuracy} for what, amount, accuracy in rows]


def test_degraded_png_has_a_panel_for_each_way(tmp_path, monkeypatch):
    path = tmp_path / "degraded.png"
    texts = drawn_texts(monkeypatch, lambda: plot_degraded(degraded_rows(), path, title="net on PublicTest"))
    assert {"blur", "contrast", "size", "tilt", "clean: 87.0%", "81", "degrees"} <= set(texts)
    assert "net on PublicTest\ndim and soft (blur 1.2, deviation 25): 81.0%" in texts
    plot_degraded(degraded_rows(), path)
    assert blueness(read_png(path)) > 0.001
