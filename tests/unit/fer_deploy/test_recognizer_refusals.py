"""Wrong input to Recognizer: each gets an error that names it and says what to do."""

import copy
import pickle

import cv2
import numpy as np
import pytest
from PIL import Image
from unit.fer_deploy.recognizer_fakes import boxes_of, picture_of, write

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import ArtifactError, ConfigError, EngineError, StreamError
from fer_deploy.recognizer import Recognizer, RecognizerConfig


class TestRefusals:
    @pytest.fixture
    def recognizer(self, bright):
        with Recognizer(engine=FakeEngine()) as recognizer:
            yield recognizer

    @pytest.mark.parametrize(
        ("array", "text"),
        [
            (
                np.zeros((4, 5, 3)),
                r"the picture is an array \(4, 5, 3\) float64, expected \(H, W, 3\) BGR or \(H, W\) "
                r"gray, uint8. Fix: scale the values to 0 to 255, then .astype\(numpy.uint8\)",
            ),
            (np.zeros((4, 5, 4), np.uint8), r"Fix: leave the fourth channel out: \[..., :3\]"),
            (np.zeros((3, 40, 50), np.uint8), "channels come last, in the order blue-green-red"),
            (np.zeros((2, 4, 5, 3), np.uint8), "Fix: several pictures are a list"),
            (np.zeros((0, 5, 3), np.uint8), "with at least one pixel. Fix: leave it out"),
            (np.zeros(5, np.uint8), r"an array \(5,\) uint8"),
        ],
    )
    def test_arrays(self, recognizer, array, text):
        with pytest.raises(EngineError, match=text):
            recognizer.analyze(array)

    def test_the_place_in_a_list(self, recognizer):
        with pytest.raises(EngineError, match=r"picture 1 is an array \(2, 2\) int64"):
            recognizer.analyze([picture_of(3), np.zeros((2, 2), dtype=np.int64)])
        with pytest.raises(EngineError, match="picture 1 is NoneType, expected a path, the bytes of a picture file, "):
            recognizer.analyze([picture_of(3), None])
        with pytest.raises(EngineError, match="crop 0 is int, expected a path"):
            recognizer.classify([7])

    def test_what_is_no_picture(self, recognizer, tmp_path):
        (tmp_path / "a.jpg").write_text("no picture")
        with pytest.raises(StreamError, match=r"cannot decode .*a.jpg as a picture. Fix: restore or remove the file"):
            recognizer.analyze(tmp_path / "a.jpg")
        with pytest.raises(
            StreamError, match=r"cannot decode the picture of 10 bytes as a picture. Fix: give the bytes of a whole "
        ):
            recognizer.analyze(b"no picture")
        with pytest.raises(StreamError, match=r"cannot read .*b.jpg: No such file or directory. Fix: check the path"):
            recognizer.analyze([tmp_path / "b.jpg"])
        with pytest.raises(StreamError, match=r"cannot read .*: Is a directory. Fix: name the pictures in it"):
            recognizer.analyze(tmp_path)
        with pytest.raises(StreamError, match=r"cannot read a\\x00b: embedded null byte. Fix: check the path"):
            recognizer.analyze("a\0b")
        with pytest.raises(StreamError, match=r"an address, expected a picture file. Fix: download it; a video") as err:
            recognizer.analyze("http://bob:geheim@host/a.jpg")
        assert "geheim" not in str(err.value)

    def test_a_jpeg_that_breaks_off(self, recognizer):
        whole = cv2.imencode(".jpg", picture_of(3))[1].tobytes()
        with pytest.raises(
            StreamError, match=r"^the picture of \d+ bytes is truncated. Fix: give the bytes of a whole picture file$"
        ):
            recognizer.analyze(whole[:-40])

    @pytest.mark.parametrize(
        ("boxes", "text"),
        [
            (
                [(0, 0, 9, 9), (60, 0, 80, 20)],
                r"box 1 of the picture, \(60, 0, 80, 20\), has no pixel of the 60x40 pict",
            ),
            ([(30, 10, 20, 20)], r"x2 > x1 and y2 > y1. Fix: leave the box out, or turn \(x, y, width, height\) into"),
            ([(0, 0, 0.4, 9)], "has no pixel"),
            ([(0, 0, float("nan"), 9)], "expected four finite numbers"),
            (
                (0, 0, 9, 9),
                r"boxes of the picture are \(0, 0, 9, 9\), expected four finite numbers \(x1, y1, x2, y2\) a",
            ),
            ([(0, 0, 9)], "expected four finite numbers"),
            ([(0, 0, 9, 9), (0, 0, 9)], "expected four finite numbers"),
            (["abcd"], "expected four finite numbers"),
            ([(0, 0, 10**400, 9)], "expected four finite numbers"),
            (5, "boxes of the picture are 5, expected four finite numbers"),
        ],
    )
    def test_boxes(self, recognizer, boxes, text):
        with pytest.raises(EngineError, match=text):
            recognizer.analyze(picture_of(1, 2, 3), boxes=boxes)

    def test_boxes_of_another_number_of_pictures(self, recognizer):
        with pytest.raises(
            EngineError, match=r"2 pictures and boxes for 1 were given, expected boxes for each picture."
        ):
            recognizer.analyze([picture_of(3)] * 2, boxes=[[(0, 0, 9, 9)]])
        with pytest.raises(EngineError, match="boxes of the pictures are 5, expected four finite numbers"):
            recognizer.analyze([picture_of(3)], boxes=5)
        (faces,) = recognizer.analyze([picture_of(3)], boxes=(boxes for boxes in [[(0, 0, 9, 9)]]))
        assert boxes_of(faces) == [(0, 0, 9, 9)]

    @pytest.mark.parametrize("shape", [(48, 48), (48, 48, 3), (2, 3, 48, 48)])
    def test_one_array_of_crops(self, recognizer, shape):
        with pytest.raises(
            EngineError, match=r"expected \(N, H, W\) gray or \(N, H, W, 3\) BGR, uint8. Fix: a list of "
        ):
            recognizer.classify(np.zeros(shape, dtype=np.uint8))

    @pytest.mark.parametrize("wrong", [None, 7, 0.5, np.uint8(3)])
    def test_what_is_neither_one_nor_several(self, recognizer, wrong):
        with pytest.raises(EngineError, match=r"the picture is .*, expected a path, the bytes of a picture file, "):
            recognizer.analyze(wrong)
        with pytest.raises(EngineError, match=r"crop 0 is .*, expected a path, the bytes of a picture file, "):
            recognizer.classify(wrong)

    def test_a_pil_image_and_an_open_file(self, recognizer, tmp_path):
        path = write(tmp_path / "a.png", picture_of(9))
        with pytest.raises(EngineError, match=r"the picture is PIL.*Fix: .*numpy.asarray\(image\)\[..., ::-1\]"):
            recognizer.analyze(Image.fromarray(picture_of(9)))
        with (
            path.open("rb") as file,
            pytest.raises(EngineError, match=r"is _io.BufferedReader, .*Fix: .read\(\) of a "),
        ):
            recognizer.analyze(file)

    def test_which_of_several_bytes(self, recognizer, tmp_path):
        good = write(tmp_path / "a.png", picture_of(9)).read_bytes()
        with pytest.raises(StreamError, match=r"cannot decode picture 1 of 3 bytes as a picture. Fix: give the bytes"):
            recognizer.analyze([good, b"bad"])

    def test_an_empty_path(self, recognizer):
        with pytest.raises(StreamError, match=r"the path of the picture is empty. Fix: name a picture file"):
            recognizer.analyze("")
        with pytest.raises(StreamError, match=r"the source is empty. Fix: name a camera \(0\), a file, a folder"):
            next(recognizer.stream(""))

    @pytest.mark.parametrize("source", [None, 0.5, True, b"a.mp4", np.zeros((4, 5, 3), np.uint8)])
    def test_what_is_no_source(self, recognizer, source):
        with pytest.raises(StreamError, match=r"^a source is \w+, expected a camera number, a path or a URL. Fix: "):
            next(recognizer.stream(source))

    def test_arguments(self, tmp_path):
        with pytest.raises(ConfigError, match=r"^Recognizer: device: expected .* \(got 'tpu'\)"):
            Recognizer(device="tpu")
        with pytest.raises(
            ConfigError, match=r"Recognizer: detector_model \(--detector-model\) is about YuNet, and the detector"
        ):
            Recognizer(detector="haar", detector_model="y.onnx")
        with pytest.raises(ConfigError, match=r"^Recognizer: detector: expected .* \(got 'yolo'\)"):
            Recognizer(detector="yolo")
        with pytest.raises(ConfigError, match=r"model is ferplus and engine is a.onnx: two models. Fix: .* model \("):
            Recognizer(model="ferplus", engine="a.onnx")
        with pytest.raises(ConfigError, match=r'engine is fer2013, which is no file .* Fix: model="fer2013" \('):
            Recognizer(engine="fer2013")
        with pytest.raises(ConfigError, match="config is given together with other arguments"):
            Recognizer(config=RecognizerConfig(), device="cpu")
        with pytest.raises(ConfigError, match=r"config is dict. Fix: config=RecognizerConfig\(...\), or leave it out"):
            Recognizer(config={"device": "cpu"})
        with pytest.raises(ConfigError, match="an opened engine has its model and device"):
            Recognizer(engine=FakeEngine(), device="cpu")
        with pytest.raises(ArtifactError, match=f"no model at {tmp_path}/a.onnx"):
            Recognizer(engine=str(tmp_path / "a.onnx"))

    @pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_copies(self, recognizer, copied):
        with pytest.raises(TypeError, match=r"cannot be copied or pickled. Fix: make one in each process"):
            copied(recognizer)
