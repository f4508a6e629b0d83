"""Charts of the benchmarks: every number is inside its panel and in front of the lines."""

import pytest
from harness.accuracy_report import write_chart as write_accuracy
from harness.artifacts import EAGER
from harness.latency_report import write_chart as write_latency
from live.fps_report import write_chart as write_fps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from fer_deploy.vision.palette import GOOD_COLOR, PLAIN_COLOR


@pytest.fixture
def figures(monkeypatch):
    """The figures that are written."""
    found = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **how: found.append(self) or save(self, *args, **how))
    return found


def assert_numbers_inside(figure, num):
    figure.draw_without_rendering()
    found = 0
    for panel in figure.axes:
        inside = panel.get_window_extent()
        for text in panel.texts:
            extent = text.get_window_extent()
            assert inside.x0 <= extent.x0 < extent.x1 <= inside.x1, text.get_text()
            assert inside.y0 <= extent.y0 < extent.y1 <= inside.y1, text.get_text()
            assert all(line.get_zorder() < text.get_zorder() for line in panel.lines)
            found += 1
    assert found == num


@pytest.mark.parametrize("speedups", [(1.0, 0.97), (1.0, 1.02), (1.0, 12.27, 0.93, 1234.56), (1.0,)])
def test_latency(tmp_path, figures, speedups):
    results = [
        {
            "model": model,
            "engine": EAGER if number == 0 else f"engine {number}",
            "latency": [{"batch": batch, "speedup": [speedup, 0.9, 1.1]} for batch in (1, 16)],
        }
        for model in ("one", "two")
        for number, speedup in enumerate(speedups)
    ]
    write_latency(results, tmp_path / "a.png", "a machine")
    (figure,) = figures
    assert_numbers_inside(figure, 4 * len(speedups))
    for panel in figure.axes:
        assert [to_hex(bar.get_facecolor()) for bar in panel.patches] == [
            PLAIN_COLOR,
            *[GOOD_COLOR] * (len(speedups) - 1),
        ]
        assert [text.get_text() for text in panel.texts] == [f"{speedup:.2f}x" for speedup in speedups]


@pytest.mark.parametrize("fastest", [20, 1213])
def test_frames_per_second(tmp_path, figures, fastest):
    rows = [
        {"variant": name, "fps": fps, "speedup": fps / 14, "faces": 1.5, "p95_ms": 31.0}
        for name, fps in (("tutorial: YuNet and PyTorch eager", 14), ("live loop", fastest))
    ]
    write_fps([{"clip": "a.mp4", "rows": rows}, {"clip": "b.mp4", "rows": rows}], tmp_path / "a.png")
    assert_numbers_inside(figures[0], 4)
    assert figures[0].axes[0].texts[1].get_text() == f"{fastest:,}  ({fastest / 14:.1f}x, 1.5 faces)"


@pytest.mark.parametrize("num_artifacts", [1, 2, 6])
def test_accuracy(tmp_path, figures, num_artifacts):
    rows = [
        {
            "view": "plain",
            "model": "net",
            "labels": labels,
            "artifact": f"net-{number}.onnx",
            "accuracy": 0.84,
            "accuracy_interval": [0.83, 0.85],
        }
        for labels in ("fer2013", "ferplus")
        for number in range(num_artifacts)
    ]
    write_accuracy(rows, tmp_path / "a.png", "a machine")
    assert_numbers_inside(figures[0], 2 * num_artifacts)
