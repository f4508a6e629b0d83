import cv2
import numpy as np
import pytest
from unit.fer_train.synthetic_faces import make_faces, write_folder

from fer_train.data.faces import EMOTIONS, resize_face
from fer_train.data.readers.image_folder import read_image_folder
from fer_train.errors import DataError


def test_file_names_give_split_and_row(tmp_path):
    faces = make_faces(Training=4, PublicTest=3, PrivateTest=2)
    read = read_image_folder(write_folder(tmp_path, faces))
    assert read.counts() == {"Training": 4, "PublicTest": 3, "PrivateTest": 2}
    assert sorted(read.rows.tolist()) == list(range(9))
    for image, row, label in zip(read.images, read.rows, read.labels, strict=True):
        np.testing.assert_array_equal(image, faces.images[row])
        assert label == faces.labels[row]


def test_unprefixed_test_folder_is_one_split(tmp_path):
    faces = make_faces(Training=4, PublicTest=3, PrivateTest=2)
    read = read_image_folder(write_folder(tmp_path, faces, named=False))
    assert read.counts() == {"Training": 4, "test": 5}
    assert read.rows.tolist() == [-1] * 9  # nothing tells the row in Kaggle's CSV


def test_class_folders_in_any_case_and_uppercase_suffix(tmp_path):
    folder = tmp_path / "train" / "Happy"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "a.PNG"), np.full((48, 48), 7, np.uint8))
    read = read_image_folder(tmp_path)
    assert read.labels.tolist() == [EMOTIONS.index("happy")]


def test_unknown_class_folder_lists_the_known_ones(tmp_path):
    write_folder(tmp_path, make_faces(Training=2))
    (tmp_path / "train" / "bored").mkdir()
    with pytest.raises(DataError, match=r"bored: unknown class folder\. Known classes: angry, disgust, fear, happy"):
        read_image_folder(tmp_path)


def test_undecodable_image_is_named(tmp_path):
    write_folder(tmp_path, make_faces(Training=2))
    (tmp_path / "train" / "angry" / "Training_7.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"Training_7\.png cannot be decoded as an image\. Fix: restore or remove"):
        read_image_folder(tmp_path)


@pytest.mark.parametrize("found", [[], ["a.txt", "validation"]])
def test_folder_without_the_layout_says_what_is_there(tmp_path, found):
    for name in found:
        (tmp_path / name).mkdir()
    with pytest.raises(DataError) as caught:
        read_image_folder(tmp_path)
    expected = f"has no train/<class>/ or test/<class>/ images; found {', '.join(found) or 'nothing'}. Fix: --data with"
    assert expected in str(caught.value)


def test_color_image_of_another_size_becomes_gray_48x48(tmp_path):
    folder = tmp_path / "test" / "sad"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "big.png"), np.full((96, 120, 3), 90, np.uint8))
    read = read_image_folder(tmp_path)
    assert read.images.shape == (1, 48, 48)
    assert (read.images == 90).all()


def test_digest_changes_with_a_pixel(tmp_path):
    faces = make_faces(Training=2)
    before = read_image_folder(write_folder(tmp_path, faces)).source_sha256
    faces.images[0, 0, 0] ^= 1
    assert read_image_folder(write_folder(tmp_path, faces)).source_sha256 != before


@pytest.mark.parametrize("shape", [(96, 96), (24, 24), (100, 60), (20, 70), (48, 48)])
def test_resize_face_keeps_the_mean_and_gives_48x48(shape):
    ramp = np.linspace(20, 220, shape[1]).astype(np.uint8)[None, :].repeat(shape[0], axis=0)
    face = resize_face(ramp)
    assert face.shape == (48, 48)
    assert face.dtype == np.uint8
    assert abs(float(face.mean()) - float(ramp.mean())) < 1.5


def test_resize_face_averages_areas_when_it_shrinks():
    checker = (np.indices((96, 96)).sum(axis=0) % 2 * 200).astype(np.uint8)
    np.testing.assert_array_equal(resize_face(checker), np.full((48, 48), 100, np.uint8))
