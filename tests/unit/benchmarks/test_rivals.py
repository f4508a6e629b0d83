import json
import sys
from importlib import metadata
from pathlib import Path

import click
import numpy as np
import pytest
import rivals
from click.testing import CliRunner
from fps import REFERENCE
from integration.analyze_videos import write_squares
from others import loop, our_model
from others.table import PINNED, RIVALS, Place, Rival, chosen, find_place, place_of, placed
from rivals import OURS, accuracy_rows, measured_rounds, speed_rows
from unit.fer_train.synthetic_faces import make_faces

from fer_deploy.engines import bundled_model_for, open_engine
from fer_deploy.vision.postprocess import probs_from_logits

HERE = Path(sys.executable)
A = Rival("A, one", {"kind": "a"}, ("a", "b"), "a==1")


def one(fps, cpu=10.0, **more):
    return {
        "frames": 10,
        "faces": 20,
        "fps": fps,
        "cpu_ms_per_frame": cpu,
        "p50_ms": 1.0,
        "p95_ms": 2.0,
        "p99_ms": 3.0,
        **more,
    }


class TestLoop:
    @pytest.fixture
    def clip(self, tmp_path):
        return str(write_squares(tmp_path / "a.mp4", 4))

    def test_clip_is_looped(self, clip):
        assert len(list(loop.looped(loop.frames_of, clip, 10))) == 10

    def test_clip_without_a_frame(self, tmp_path):
        (tmp_path / "empty.mp4").touch()
        with pytest.raises(ValueError, match=r"empty.mp4 has no frame"):
            list(loop.looped(loop.frames_of, str(tmp_path / "empty.mp4"), 1))

    def test_faces_are_those_of_the_timed_frames(self, clip):
        shapes = []

        def step(frame):
            shapes.append(frame.shape)
            return len(shapes)

        found = loop.timed(loop.Loop(step, "a note"), clip, 6)
        assert found["faces"] == 4 + 5 + 6 + 7 + 8 + 9  # the first three warm it up
        assert (found["frames"], found["note"], set(shapes)) == (6, "a note", {(96, 128, 3)})
        assert found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"]

    def test_a_project_may_bring_its_own_reader(self, clip):
        found = loop.timed(loop.Loop(lambda frame: frame, "", lambda _: iter([1, 2])), clip, 4)
        assert found["faces"] == 1 + 2 + 1 + 2

    def test_every_kind_has_a_module(self):
        assert {rival.request["kind"] for rival in RIVALS} == loop.KINDS.keys()
        assert all((rivals.BENCHMARKS / f"{name.replace('.', '/')}.py").exists() for name in loop.KINDS.values())


class TestPlaces:
    def test_this_python_has_what_it_has(self):
        there = Rival("", {}, ("click", "nosuchmodule"), "")
        assert place_of(HERE, [there]).versions == {"click": metadata.version("click"), "nosuchmodule": None}

    def test_first_python_that_has_all(self):
        places = [Place(Path("x"), {"a": "1", "b": None}), Place(Path("y"), {"a": "2", "b": "3"})]
        assert find_place(A, places) == (places[1], "a 2, b 3")

    def test_what_the_nearest_python_lacks_is_told(self):
        places = [Place(Path("x"), {"a": None, "b": None}), Place(Path("y"), {"a": "1", "b": None})]
        place, why = find_place(A, places)
        assert place is None
        assert why == "no Python here has b. Fix: pip install a==1 in one, --rival-python it"

    def test_another_version_than_the_pinned_one_is_named(self):
        rival = Rival("fer", {}, ("fer",), "")
        assert find_place(rival, [Place(HERE, {"fer": PINNED["fer"]})])[1] == "fer 25.10.3"
        assert find_place(rival, [Place(HERE, {"fer": "22.4"})])[1] == "fer 22.4 (pinned: 25.10.3)"

    def test_rows_that_cannot_run_have_the_reason(self):
        found, skipped = placed([A], [Place(HERE, {"a": "1", "b": None})])
        assert not found
        assert [row["variant"] for row in skipped] == ["A, one"]
        assert "no Python here has b" in skipped[0]["skipped"]

    def test_no_python(self, tmp_path):
        (tmp_path / "python").write_text("#!/bin/sh\nexit 3\n")
        (tmp_path / "python").chmod(0o755)
        done = CliRunner().invoke(rivals.main, ["--rival-python", str(tmp_path / "python")])
        assert done.exit_code == 2
        assert "Fix: the file bin/python of a virtual environment" in " ".join(done.output.split())

    def test_only(self):
        assert [rival.name for rival in chosen(["fer", "ultra"])] == [
            "fer, TFLite",
            "fer, Keras",
            "Ultralytics, our engine",
        ]
        assert chosen([]) == list(RIVALS)
        with pytest.raises(
            click.UsageError, match=r"--only dlib fits no rival. Fix: the beginning of one of: fer, TFLite"
        ):
            chosen(["fer", "dlib"])


class TestRounds:
    def test_loops_alternate_and_one_that_fails_is_left_out_of_all_rounds(self):
        ran = []

        def loop_of(name, fails_at=None):
            def run():
                ran.append(name)
                if len(ran) == fails_at:
                    raise click.ClickException("it failed: Traceback\nValueError: why")
                return one(10)

            return run

        names = {OURS: loop_of("o"), REFERENCE: loop_of("r"), "A": loop_of("a", 7), "B": loop_of("b")}
        rounds, failed = measured_rounds(names, 3)
        assert "".join(ran) == "oraboraborb"
        assert failed == {"A": "ValueError: why"}
        assert [list(found) for found in rounds] == 3 * [[OURS, REFERENCE, "B"]]

    @pytest.mark.parametrize("name", [OURS, REFERENCE])
    def test_nothing_can_be_compared_without_ours_and_the_reference(self, name):
        def fail():
            raise click.ClickException("broken")

        with pytest.raises(click.ClickException, match="broken"):
            measured_rounds({name: fail}, 1)

    def test_ratios_are_taken_within_a_round(self):
        rounds = [
            {OURS: one(ours), REFERENCE: one(ours / 4), "A": one(ours / ratio, cpu=30.0, note="n")}
            for ours, ratio in ((100, 5), (10, 8), (50, 6))
        ]
        row = speed_rows(rounds, {"A": "a 1"})[2]
        assert row["ours_over"] == pytest.approx(6)
        assert row["ours_interval"] == pytest.approx([5, 8])
        assert (row["ours_over_cpu"], row["versions"], row["note"]) == (3, "a 1", "n")


class TestAccuracy:
    def test_probabilities_are_judged_on_every_face_of_the_split(self):
        faces = make_faces(Training=14, PublicTest=28)
        labels = faces.labels[faces.splits == "PublicTest"]
        probs = np.eye(7, dtype=np.float32)[labels]  # sure of everything: log(0) must not be
        probs[:7] = np.roll(probs[:7], 1, axis=1)
        [row] = accuracy_rows("A", probs, rivals.spec_of(RIVALS[0], self.spec()), faces, "PublicTest")
        assert (row["num_faces"], row["accuracy"]) == (28, 0.75)
        assert row["labels"] == "FER2013's labels"

    def spec(self):
        with open_engine(bundled_model_for("cpu"), device="cpu", threads=1) as engine:
            return engine.spec

    def test_labels_are_those_of_the_model(self):
        ours = self.spec()
        by_kind = {rival.request["kind"]: rivals.spec_of(rival, ours)["labels"] for rival in RIVALS}
        assert by_kind["fer"] == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
        assert list(by_kind["opencv"]) == list(ours.labels)

    def test_our_model_in_opencv_answers_as_in_our_engine(self):
        faces = np.random.default_rng(0).integers(0, 256, (4, 48, 48), dtype=np.uint8)
        model = bundled_model_for("cpu")
        theirs = our_model.probabilities({"kind": "opencv", "onnx": str(model)}, faces)
        with open_engine(model, device="cpu", threads=1) as engine:
            ours = probs_from_logits(engine.infer(faces[:, None]))
        assert np.abs(theirs - ours).max() < 0.1  # its integer arithmetic is its own
        assert np.abs(theirs[0] - ours[1]).max() > np.abs(theirs[0] - ours[0]).max()


def test_command(unpublished, tmp_path, monkeypatch):
    (tmp_path / "yunet.onnx").touch()
    asked = []

    def run_rival(rival, place, request):
        asked.append((rival.name, place.python, request["frames"]))
        if rival.request["kind"] == "opencv":
            return one(20, note="a note")
        raise click.ClickException("failed: Traceback\nImportError: libGL")

    versions = {"cv2": "4.14.0", "openvino": "1"}
    monkeypatch.setattr(rivals, "place_of", lambda python: Place(python, versions if python == HERE else {}))
    fps = {"live": 100, "yunet": 10, "haar": 25}
    loops = []

    def run_apart(module, request):
        loops.append(request.get("detector", request["kind"]))
        return one(fps[loops[-1]])

    monkeypatch.setattr(rivals, "run_apart", run_apart)
    monkeypatch.setattr(rivals, "run_rival", run_rival)
    clip = write_squares(tmp_path / "a.mp4", 3)
    words = ["--clip", clip, "--yunet", tmp_path / "yunet.onnx", "--checkpoint", clip, "--rounds", 2, "--frames", 50]
    done = CliRunner().invoke(rivals.main, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    dnn, vino = "YuNet tutorial, our model in OpenCV DNN", "YuNet tutorial, our model in OpenVINO"
    assert asked == [(dnn, HERE, 10), (vino, HERE, 10), (dnn, HERE, 10)]
    [path] = unpublished.glob("*/*/rivals.json")
    result = json.loads(path.read_text())
    rows = result["clips"][0]["rows"]
    assert [(one["name"], one["value"], one["better"]) for one in result["measures"]] == [
        ("a.mp4, YuNet tutorial: ours is", 10, "higher"),
        ("a.mp4, Haar tutorial: ours is", 4, "higher"),
        (f"a.mp4, {dnn}: ours is", 5, "higher"),
    ]
    assert len(rows) == 3 + len(RIVALS)
    assert loops == 2 * ["live", "yunet", "haar"]
    text = path.with_suffix(".md").read_text()
    assert f"| {dnn} | 5.0x (5.0 to 5.0) | 1.0x | 2.00 | 20 | 10.0 | 1, 3 | cv2 4.14.0 | a note |" in text
    assert f"- {vino}: not run: ImportError: libGL" in text
    assert "- fer, TFLite: not run: no Python here has fer, tensorflow, pkg_resources. Fix: pip install fer==25" in text
    assert "| Haar tutorial | 4.0x (4.0 to 4.0) |" in text


def test_accuracy_by_command(unpublished, tmp_path, monkeypatch):
    (tmp_path / "yunet.onnx").touch()
    faces = make_faces(Training=7, PublicTest=21)

    def run_rival(rival, place, request):
        labels = faces.labels[faces.splits == "PublicTest"]
        assert np.array_equal(np.load(request["faces"]), faces.images[faces.splits == "PublicTest"])
        if not rival.request["tflite"]:
            raise click.ClickException("failed: Traceback\nMemoryError")
        np.save(request["out"], np.eye(7, dtype=np.float32)[labels])

    versions = dict.fromkeys(("fer", "tensorflow", "pkg_resources"), "1")
    monkeypatch.setattr(rivals, "place_of", lambda python: Place(python, versions))
    monkeypatch.setattr(rivals, "run_rival", run_rival)
    monkeypatch.setattr(rivals, "read_faces", lambda data, ferplus: faces)
    clip = write_squares(tmp_path / "a.mp4", 3)
    words = [
        "--clip",
        clip,
        "--yunet",
        tmp_path / "yunet.onnx",
        "--checkpoint",
        clip,
        "--rounds",
        0,
        "--only",
        "fer",
        "--data",
        clip,
    ]
    done = CliRunner().invoke(rivals.main, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "| fer, TFLite | FER2013's labels | 21 | 100.00% (" in done.output
    for family in ("ferplus", "fer2013"):  # a model answers best in the labels that it learned
        assert f"| ours, {bundled_model_for('cpu', family).stem} | FER2013's labels | 21 | " in done.output
    assert "- fer, Keras: not run: MemoryError" in done.output
    [path] = unpublished.glob("*/*/rivals.json")
    names = [one["name"] for one in json.loads(path.read_text())["measures"]]
    assert names[-1] == "fer, TFLite, FER2013's labels: accuracy"
    assert len(names) == 3
