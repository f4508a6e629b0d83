"""The front door: what goes in, what comes out, and that it says what the live loop says."""

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from integration.live_fakes import live_threads
from unit.fer_deploy.recognizer_fakes import boxes_of, picture_of, write

import fer_deploy
from fer_deploy import recognizer as recognizer_module
from fer_deploy.detectors import DetectorConfig, build_detectors
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import EngineError, StreamError
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sources import open_source
from fer_deploy.live.sources.synthetic import SyntheticSource
from fer_deploy.recognizer import CPU_BATCH, Recognizer, RecognizerConfig
from fer_deploy.vision.types import Box

LIGHT = """
import sys
import fer_deploy
assert set(fer_deploy.__all__) <= set(dir(fer_deploy))
heavy = {"numpy", "cv2", "pydantic", "onnxruntime", "av"} & set(sys.modules)
assert not heavy, heavy
from fer_deploy import Recognizer
heavy = {"torch", "onnx", "fer_train", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
for name in fer_deploy.__all__:
    assert getattr(fer_deploy, name).__name__ == name
"""


class ConcurrentEngine(FakeEngine):
    """As the CPU engine is: several threads call it at once."""

    is_concurrent = True


class GuardedEngine(FakeEngine):
    """As a GPU engine is: fails where two threads are in it at once."""

    def __init__(self):
        super().__init__()
        self._inside = threading.Lock()

    def _run(self, images_nchw):
        assert self._inside.acquire(blocking=False)
        try:
            return super()._run(images_nchw)
        finally:
            self._inside.release()


def test_the_import_is_light():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_unknown_names():
    with pytest.raises(AttributeError, match="module 'fer_deploy' has no attribute 'Recogniser'"):
        fer_deploy.Recogniser  # noqa: B018


class TestAnalyze:
    def test_every_form_of_a_picture(self, bright, tmp_path):
        picture = picture_of(0, 200, 0, 30)
        path = write(tmp_path / "a.png", picture)
        forms = [
            str(path),
            path,
            path.read_bytes(),
            bytearray(path.read_bytes()),
            picture,
            picture[..., 0],
            picture[..., :1],
            picture[..., ::-1],
            np.asfortranarray(picture),
        ]
        with Recognizer(engine=FakeEngine()) as recognizer:
            singly = [recognizer.analyze(form) for form in forms]
            together = recognizer.analyze(forms)
            lazily = recognizer.analyze(form for form in forms)
        for faces in (*singly, *together, *lazily):
            assert boxes_of(faces) == [(20, 0, 40, 20), (60, 0, 80, 20)]
            assert [face.face.track_id for face in faces] == [1, 2]
            assert [face.label for face in faces] == ["bright", "dark"]
            np.testing.assert_array_equal(faces[0].probs, singly[0][0].probs)
            assert faces[0].confidence == faces[0].probs["bright"] > 0.5
            assert faces[0].probs.sum() == pytest.approx(1)
        assert len(bright) == 1  # detectors are built once

    def test_no_picture_and_no_face(self, bright):
        with Recognizer(engine=FakeEngine()) as recognizer:
            assert recognizer.analyze([]) == []
            assert recognizer.analyze(picture_of(0, 0)) == []
            assert recognizer.analyze([picture_of(0), picture_of(9)])[0] == []

    def test_the_limit_of_sure(self, bright, monkeypatch):
        """The model's own limit, unless a config has another one."""
        engine = FakeEngine()
        engine._spec = engine.spec.model_copy(update={"unsure_below": 0.7})
        picture = picture_of(225, 0, 130, 0, 40, spread=20)  # one bright, one between, one dark
        with Recognizer(engine=engine) as recognizer:
            faces = recognizer.analyze(picture)
            assert [(face.is_sure, face.shown_label, face.label) for face in faces] == [
                (True, "bright", "bright"),
                (False, "unsure", "dark"),
                (True, "dark", "dark"),
            ]
        monkeypatch.setattr("fer_deploy.engines.config.open_engine", lambda path, **options: engine)
        people = {"unsure_below": 0.8, "hide_unreadable": False}
        config = RecognizerConfig.model_validate({"pipeline": {"people": people}})
        with Recognizer(config=config) as recognizer:
            plain = picture_of(255, 0, 130, 0, 60)
            assert [face.is_sure for face in recognizer.analyze(plain)] == [True, False, False]

    def test_a_plain_square_is_no_face(self):
        with Recognizer(engine=FakeEngine()) as recognizer:
            (face,) = recognizer.analyze(np.full((40, 40, 3), 200, np.uint8), [(10, 10, 30, 30)])
        assert (face.shown_label, face.is_readable, face.is_sure) == ("unreadable", False, False)
        assert face.flags == face.quality.flags != ()
        assert (face.label, face.quality.size_px) == ("bright", 20)

    def test_own_boxes(self, monkeypatch):
        monkeypatch.setattr(recognizer_module, "build_detectors", pytest.fail)
        picture, boxes = picture_of(0, 200, 30), [(39.6, 0.4, 60, 20), Box(20, 0, 40, 20), (20, -9, 40, 20)]
        with Recognizer(engine=FakeEngine()) as recognizer:
            faces = recognizer.analyze(picture, boxes=boxes)
            assert boxes_of(faces) == [(40, 0, 60, 20), (20, 0, 40, 20), (20, 0, 40, 20)]  # also one that comes twice
            assert [face.label for face in faces] == ["dark", "bright", "bright"]
            assert boxes_of(recognizer.analyze(picture, boxes=np.array([[0, 0, 9, 9]]))) == [(0, 0, 9, 9)]
            assert recognizer.analyze(picture, boxes=[]) == []

    def test_own_boxes_of_several(self, bright):
        with Recognizer(engine=FakeEngine()) as recognizer:
            faces = recognizer.analyze([picture_of(200, 0), picture_of(0, 9)], boxes=[[(0, 0, 9, 9)], None])
        assert [boxes_of(of_it) for of_it in faces] == [[(0, 0, 9, 9)], [(20, 0, 40, 20)]]

    def test_faces_of_many_pictures_share_batches(self, bright):
        engine = FakeEngine()
        pictures = [picture_of(*range(1, 1 + num)) for num in (3, 1, 5, 2)]
        with Recognizer(engine=engine) as recognizer:
            together = recognizer.analyze(pictures)
            assert engine.batch_sizes == [11]
            assert [[face.probs.as_dict() for face in faces] for faces in together] == [
                [face.probs.as_dict() for face in recognizer.analyze(picture)] for picture in pictures
            ]

    def test_many_threads(self, bright):
        engine = GuardedEngine()
        pictures = [picture_of(*([10 * number] * (1 + number % 3))) for number in range(1, 25)]
        with Recognizer(engine=engine) as recognizer, ThreadPoolExecutor(8) as pool:
            expected = [[face.probs.as_dict() for face in recognizer.analyze(picture)] for picture in pictures]
            for _ in range(5):
                got = pool.map(recognizer.analyze, pictures)
                assert [[face.probs.as_dict() for face in faces] for faces in got] == expected
        assert len(bright) == 1


class TestClassify:
    def test_forms_of_crops(self):
        gray = np.random.default_rng(3).integers(0, 256, (5, 48, 48), dtype=np.uint8)
        color = np.repeat(gray[..., None], 3, axis=3)
        with Recognizer(engine=FakeEngine()) as recognizer:
            probs = recognizer.classify(gray)
            assert (probs.shape, probs.dtype, probs.labels) == ((5, 2), np.float32, ("dark", "bright"))
            assert recognizer.labels == probs.labels == probs[:2].labels
            for same in (list(gray), list(color), color, gray[:, None], gray[..., None], iter(gray)):
                np.testing.assert_array_equal(recognizer.classify(same), probs)
            again = pickle.loads(pickle.dumps(probs))
            assert again.labels == probs.labels
            np.testing.assert_array_equal(again, probs)
            for none in ([], np.zeros((0, 48, 48), dtype=np.uint8)):
                assert recognizer.classify(none).shape == (0, 2)

    def test_crops_of_any_size(self, tmp_path):
        levels = (10, 120, 250)
        crops = [
            np.full(shape, level, dtype=np.uint8)
            for shape, level in zip([(7, 9), (480, 300, 3), (48, 48)], levels, strict=True)
        ]
        with Recognizer(engine=FakeEngine()) as recognizer:
            same = [np.full((48, 48), level, dtype=np.uint8) for level in levels]
            np.testing.assert_array_equal(recognizer.classify(crops), recognizer.classify(same))
            path = write(tmp_path / "c.png", crops[1])
            np.testing.assert_array_equal(recognizer.classify([path]), recognizer.classify([crops[1]]))

    @pytest.mark.parametrize(("engine", "sizes"), [(FakeEngine, [1000]), (ConcurrentEngine, [40] + [CPU_BATCH] * 15)])
    def test_a_thousand_in_batches(self, engine, sizes):
        crops = np.random.default_rng(0).integers(0, 256, (1000, 48, 48), dtype=np.uint8)
        opened = engine()
        with Recognizer(engine=opened) as recognizer:
            probs = recognizer.classify(crops)
            assert sorted(opened.batch_sizes) == sizes
            singly = [recognizer.classify(crops[i : i + 1])[0] for i in range(0, 1000, 111)]
        np.testing.assert_allclose(probs[::111], singly, atol=1e-6)


class TestClosing:
    def test_an_engine_of_the_callers_stays_open(self, bright):
        engine = FakeEngine()
        with Recognizer(engine=engine) as recognizer:
            recognizer.analyze(picture_of(9))
        assert not engine.closed
        for call in (lambda: recognizer.analyze([]), lambda: recognizer.classify([]), lambda: recognizer.stream(0)):
            with pytest.raises(EngineError, match=r"this Recognizer is closed. Fix: make a new one"):
                call()

    def test_its_own_is_closed(self, monkeypatch):
        engine = FakeEngine()
        monkeypatch.setattr("fer_deploy.engines.config.open_engine", lambda path, **options: engine)
        with Recognizer(engine="a.onnx") as recognizer:
            recognizer.close()
            assert engine.closed


LEFT_OPEN = """
from fer_deploy import Recognizer
results = Recognizer(detector="haar").stream("synthetic")
next(results)
print("the end", flush=True)
"""


class TestStream:
    def test_a_program_that_ends_with_an_open_stream(self):
        """Its threads are inside OpenCV and ONNX Runtime, where the interpreter's end would abort the process."""
        done = subprocess.run(
            [sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")

    def test_break_ends_it(self, bright):
        engine = FakeEngine()
        with Recognizer(engine=engine) as recognizer:
            for result in recognizer.stream("synthetic"):
                if result.frame.index == 3:
                    break
            del result
            assert live_threads() == []
            assert boxes_of(recognizer.analyze(picture_of(9))) == [(0, 0, 20, 20)]

    def test_a_path_is_a_path(self, bright, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write(tmp_path / "0", picture_of(9))
        with Recognizer(engine=FakeEngine()) as recognizer:
            (result,) = recognizer.stream((tmp_path / "0").relative_to(tmp_path))
            assert boxes_of(result.faces) == [(0, 0, 20, 20)]
            with pytest.raises(StreamError, match="cannot open camera 99"):
                next(recognizer.stream(99))

    def test_a_source_that_is_none(self, bright):
        with Recognizer(engine=FakeEngine()) as recognizer, pytest.raises(StreamError, match="no source 'none"):
            next(recognizer.stream("none.mp4"))


def test_what_the_live_loop_says(tmp_path):
    """The bundled model and a real detector: the same boxes and the same probabilities."""
    frames = SyntheticSource().frames()
    for index in range(0, 60, 20):
        picture = next(frames).frame_bgr
        write(tmp_path / f"{index}.png", picture[: 360 - index, : 640 - 3 * index])
    paths = [tmp_path / f"{index}.png" for index in range(0, 60, 20)]
    with Recognizer(detector="haar") as recognizer:
        singly = [recognizer.analyze(path) for path in paths]
        together = recognizer.analyze(paths)
        detectors = build_detectors(DetectorConfig(detector="haar"))
        live = [result.faces for result in LivePipeline(open_source(tmp_path), detectors, recognizer._engine)]
        streamed = [result.faces for result in recognizer.stream(tmp_path)]
    assert sum(map(len, live)) >= 3
    for faces in (singly, together, streamed):
        assert [boxes_of(of_it) for of_it in faces] == [boxes_of(of_it) for of_it in live]
    for of_live, *others in zip(live, singly, together, streamed, strict=True):
        for of_it in others:
            assert [(face.label, face.is_sure) for face in of_it] == [(face.label, face.is_sure) for face in of_live]
            got = [face.probs for face in of_it]
            np.testing.assert_allclose(got, [face.probs for face in of_live], atol=1e-6)
