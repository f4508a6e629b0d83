import cv2
import numpy as np
import pytest
from unit.fer_train.audit.made_faces import blob_faces

from fer_train.audit import AuditConfig
from fer_train.audit.contact_sheet import MAX_LINES, NUM_COLUMNS, write_contact_sheet
from fer_train.audit.findings import Finding
from fer_train.audit.pipeline import Audit
from fer_train.errors import CheckpointError

CELL = 80


def draw(path, faces, findings):
    audit = Audit(faces, AuditConfig(), findings, 0, [])
    count = write_contact_sheet(audit, findings[0].kind, "some faces", path)
    return cv2.imread(str(path)).astype(int), count


def cell(sheet, column, line=0, height=102, title=26):
    """Return the picture (72, 72, 3) and the caption (30, 80, 3) of a cell."""
    top, left = title + line * height, column * CELL
    return sheet[top : top + 72, left : left + 72], sheet[top + 72 : top + height, left : left + CELL]


def shows(picture, image):
    expected = cv2.resize(image, (72, 72), interpolation=cv2.INTER_CUBIC)[:, :, None]
    return bool((picture == expected).all())


def blueness(pixels):
    return (pixels[..., 0] - pixels[..., 2]).max()


def redness(pixels):
    return (pixels[..., 2] - pixels[..., 0]).max()


def test_faces_stand_side_by_side_with_captions_blue_outside_training(tmp_path):
    faces = blob_faces()
    sheet, count = draw(tmp_path / "s.png", faces, [Finding(3, "non_face", ""), Finding(25, "non_face", "")])
    assert count == 2
    (left, left_caption), (right, right_caption) = cell(sheet, 0), cell(sheet, 1)
    assert shows(left, faces.images[3])
    assert shows(right, faces.images[25])
    assert left_caption.min() < 100
    assert blueness(left_caption) == 0
    assert blueness(right_caption) > 100
    assert sheet[:26].min() < 100  # the title


def test_twins_across_splits_come_first_and_are_joined_red_where_labels_differ(tmp_path):
    faces = blob_faces()
    faces.labels[[1, 8, 2, 24]] = [4, 4, 1, 2]
    twins = [Finding(i, "exact_duplicate", "", group) for i, group in ((1, 7), (8, 7), (2, 9), (24, 9))]
    sheet, _ = draw(tmp_path / "s.png", faces, twins)
    assert [shows(cell(sheet, c)[0], faces.images[i]) for c, i in enumerate((2, 24, 1, 8))] == [True] * 4
    gaps = [sheet[26:98, column * CELL + 72 : (column + 1) * CELL] for column in range(4)]
    assert redness(gaps[0]) > 100
    assert gaps[1].min() == 255
    assert blueness(gaps[2]) > 100
    assert gaps[3].min() == 255


def test_group_that_does_not_fit_begins_a_line(tmp_path):
    faces = blob_faces(num_training=40)
    groups = [0] * (NUM_COLUMNS - 1) + [1] * 2
    sheet, count = draw(
        tmp_path / "s.png", faces, [Finding(i, "exact_duplicate", "", group) for i, group in enumerate(groups)]
    )
    assert count == NUM_COLUMNS + 1
    assert cell(sheet, NUM_COLUMNS - 1)[0].min() == 255
    assert shows(cell(sheet, 0, line=1)[0], faces.images[NUM_COLUMNS - 1])


def test_sheet_ends_after_its_lines_and_a_long_group_goes_over_several(tmp_path):
    faces = blob_faces(num_training=NUM_COLUMNS * MAX_LINES + 20)
    sheet, count = draw(tmp_path / "s.png", faces, [Finding(i, "exact_duplicate", "", 0) for i in range(len(faces))])
    assert count == NUM_COLUMNS * MAX_LINES
    assert sheet.shape == (26 + MAX_LINES * 102, NUM_COLUMNS * CELL, 3)


def test_caption_of_its_own_fits_the_cell(tmp_path):
    faces = blob_faces()
    long = Finding(0, "label_error", "", caption="surprise->neutral" * 2)
    sheet, _ = draw(tmp_path / "s.png", faces, [long])
    assert cell(sheet, 0)[1].min() < 150
    assert cell(sheet, 1)[1].min() == 255
    other, _ = draw(tmp_path / "t.png", faces, [Finding(0, "label_error", "")])
    assert np.abs(sheet - other).max() > 100


def test_sheet_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot write .*s\.png"):
        draw(tmp_path / "file" / "s.png", blob_faces(), [Finding(0, "non_face", "")])
