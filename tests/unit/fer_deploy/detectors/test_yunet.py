"""YuNetFinder: against a predictable network, and against OpenCV on the real one."""

import threading

import cv2
import numpy as np
import onnx
import pytest
from unit.fer_deploy.detectors.white_yunet import with_fixed_size

from fer_deploy.artifacts import bundled_model
from fer_deploy.detectors.yunet import YuNetFinder, check_yunet, open_yunet
from fer_deploy.engines.network import open_network
from fer_deploy.errors import ArtifactError

FIX = "get the right file"
CLIPS = {"face-demographics-walking-and-pause.gif": 3, "head-pose-face-detection-female-and-male.gif": 2}
"""Faces in each frame of them, looked at."""


@pytest.fixture(scope="module")
def network(white_yunet):
    return open_network(white_yunet, fix=FIX)


@pytest.fixture
def finder(network):
    return YuNetFinder(network)


def test_a_white_cell_is_a_face(finder, white_square):
    found = finder.find(white_square((24, 40, 8)))
    np.testing.assert_allclose(found.boxes_xyxy, [[24, 40, 32, 48]], atol=1e-3)
    np.testing.assert_allclose(found.scores, [1.0], atol=1e-5)
    np.testing.assert_allclose(found.landmarks[0, :2], [[28, 44], [24, 40]], atol=1e-3)


def test_every_stride_and_its_neighbours(finder, white_square):
    """A square of 16 holds four cells of 8; they do not overlap the cell of 16 enough to be left out."""
    found = finder.find(white_square((64, 32, 32)))
    areas = np.prod(found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2], axis=1)
    assert sorted(set(np.rint(areas))) == [64, 256, 1024]


def test_of_faces_that_overlap_the_better_stays(network, white_square):
    half_white = white_square((32, 32, 16))
    half_white[32:48, 32:48] //= 2
    half_white[32:40, 32:40] = 255
    found = YuNetFinder(network, min_score=0.4).find(half_white)
    assert found.scores[0] == found.scores.max() == pytest.approx(1.0, abs=1e-5)


def test_nothing_on_black(finder, white_square):
    found = finder.find(white_square())
    assert (found.boxes_xyxy.shape, found.scores.shape, found.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))


@pytest.mark.parametrize(("min_score", "num"), [(0.45, 1), (0.55, 0)])
def test_min_score(network, white_square, min_score, num):
    gray = white_square((8, 8, 8)) // 2
    assert len(YuNetFinder(network, min_score=min_score).find(gray).scores) == num


def test_sizes_that_are_no_multiple_of_the_stride_change_in_mid_stream(finder, white_square):
    for size in [(96, 128), (90, 121), (33, 40), (96, 128)]:
        found = finder.find(white_square((24, 16, 8), size=size))
        np.testing.assert_allclose(found.boxes_xyxy, [[24, 16, 32, 24]], atol=1e-3)


def test_what_an_earlier_picture_showed_is_gone(finder, white_square):
    finder.find(white_square((120, 88, 8)))
    assert len(finder.find(white_square((0, 0, 8), size=(80, 100))).scores) == 1


def test_a_view_into_a_larger_frame(finder, white_square):
    found = finder.find(white_square((24, 40, 8))[16:, 8:])
    np.testing.assert_allclose(found.boxes_xyxy, [[16, 24, 24, 32]], atol=1e-3)


def test_finders_share_a_network_side_by_side(network, white_square):
    right = []

    def look(x: int) -> None:
        finder, frame = YuNetFinder(network), white_square((x, 40, 8))
        found = [finder.find(frame).boxes_xyxy for _ in range(50)]
        right.append(all(np.allclose(boxes, [[x, 40, x + 8, 48]], atol=1e-3) for boxes in found))

    threads = [threading.Thread(target=look, args=(8 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 4


class TestFixedSize:
    def test_pictures_are_padded(self, fixed_yunet, white_square):
        finder = YuNetFinder(open_network(fixed_yunet, fix=FIX))
        assert finder.largest_picture == (64, 64)
        found = finder.find(white_square((24, 16, 8), size=(40, 50)))
        np.testing.assert_allclose(found.boxes_xyxy, [[24, 16, 32, 24]], atol=1e-3)


class TestCheck:
    def test_yunet_of_both_kinds(self, white_yunet, fixed_yunet):
        for path in (white_yunet, fixed_yunet):
            check_yunet(open_network(path, fix=FIX), where=str(path), fix=FIX)

    def test_an_emotion_model(self):
        network = open_network(bundled_model(), fix=FIX)
        wanted = (
            r"cannot use net\.onnx as a YuNet: it is an emotion model\. Fix: .* engine \(--engine\); for the detector, "
        )
        with pytest.raises(ArtifactError, match=wanted + FIX):
            check_yunet(network, where="net.onnx", fix=FIX)

    def test_another_network(self, white_yunet, tmp_path):
        model = onnx.load(white_yunet)
        del model.graph.output[1:]
        onnx.save(model, tmp_path / "part.onnx")
        network = open_network(tmp_path / "part.onnx", fix=FIX)
        name = model.graph.output[0].name
        wanted = rf"cannot use net\.onnx as a YuNet: it has input -> {name}; expected one image \(1, 3, H, W\) -> "
        with pytest.raises(ArtifactError, match=wanted + rf"cls_8, .*\. Fix: {FIX}"):
            check_yunet(network, where="net.onnx", fix=FIX)

    def test_a_size_that_strides_do_not_divide(self, white_yunet, tmp_path):
        path = tmp_path / "odd.onnx"
        onnx.save(with_fixed_size(onnx.load(white_yunet), 72), path)
        with pytest.raises(ArtifactError, match=r"odd\.onnx.*accepts pictures of 72x72, expected multiples of 32"):
            check_yunet(open_network(path, fix=FIX), where=str(path), fix=FIX)


@pytest.mark.shared
class TestAgainstOpenCV:
    @pytest.fixture
    def real_yunet(self, shared_dir):
        return shared_dir / "models" / "face_detection_yunet_2026may.onnx"

    @staticmethod
    def frames(path):
        video = cv2.VideoCapture(str(path))
        while (read := video.read())[0]:
            yield read[1]

    @pytest.mark.parametrize("open_it", [open_yunet, open_network], ids=["merged heads", "as it is"])
    @pytest.mark.parametrize(("clip", "num_faces"), CLIPS.items())
    def test_equal_on_real_clips(self, shared_dir, real_yunet, clip, num_faces, open_it):
        """Every frame as it is, and every fifth cropped to a size that is padded on both sides."""
        finder = YuNetFinder(open_it(real_yunet, fix=FIX), min_score=0.6)
        opencv = cv2.FaceDetectorYN.create(str(real_yunet), "", (480, 270), 0.6, 0.3, 5000)
        frames = list(self.frames(shared_dir / "clips" / clip))
        assert len(frames) > 40
        for frame in frames:
            assert self.compare(finder, opencv, frame) == num_faces
        opencv.setInputSize((467, 245))
        assert (
            sum(self.compare(finder, opencv, np.ascontiguousarray(frame[5:250, 3:470])) for frame in frames[::5]) > 15
        )

    @staticmethod
    def compare(finder, opencv, picture):
        """Hold one against the other and return the number of faces."""
        wanted, found = opencv.detect(picture)[1], finder.find(picture)
        assert len(wanted) == len(found.scores)
        corners = np.concatenate([wanted[:, :2], wanted[:, :2] + wanted[:, 2:4]], axis=1)
        np.testing.assert_allclose(found.boxes_xyxy, corners, atol=0.01)
        np.testing.assert_allclose(found.landmarks.reshape(-1, 10), wanted[:, 4:14], atol=0.01)
        np.testing.assert_allclose(found.scores, wanted[:, 14], atol=1e-4)
        return len(wanted)

    def test_a_file_of_fixed_size_finds_the_same(self, shared_dir, real_yunet, tmp_path):
        """As face_detection_yunet_2023mar.onnx, which is for 640 x 640."""
        path = tmp_path / "fixed.onnx"
        onnx.save(with_fixed_size(onnx.load(real_yunet), 640), path)
        network = open_network(path, fix=FIX)
        check_yunet(network, where=str(path), fix=FIX)
        free, fixed = YuNetFinder(open_network(real_yunet, fix=FIX)), YuNetFinder(network)
        frame = next(self.frames(shared_dir / "clips" / next(iter(CLIPS))))
        np.testing.assert_allclose(fixed.find(frame).boxes_xyxy, free.find(frame).boxes_xyxy, atol=0.5)
