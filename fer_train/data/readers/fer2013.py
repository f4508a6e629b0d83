"""Read a FER2013 data set from Kaggle's CSV or from a folder of images."""

from pathlib import Path

from fer_train.data.faces import Faces
from fer_train.data.readers.cache import read_through_cache
from fer_train.data.readers.csv_file import parse_csv
from fer_train.data.readers.ferplus import join_votes
from fer_train.data.readers.image_folder import read_image_folder
from fer_train.errors import DataError

_WHERE = (
    "Expected Kaggle's fer2013.csv or icml_face_data.csv, or a folder with train/<class>/ and test/<class>/ images.\n"
    "Fix: download it from kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"
)


def read_faces(path: str | Path, *, ferplus: str | Path | None = None) -> Faces:
    """Read a FER2013 data set.

    Args:
        path: a CSV file (parsed in seconds, then cached beside it) or an image folder.
        ferplus: Microsoft's fer2013new.csv, joined row by row when given.

    Raises:
        DataError: the path does not exist, the file is of another kind, or a row is invalid (named by line).
    """
    path = Path(path)
    if path.is_dir():
        faces = read_image_folder(path)
    elif path.is_file():
        faces = read_through_cache(path, parse_csv)
    else:
        raise DataError(f"no data at {path}. {_WHERE}")
    return faces if ferplus is None else join_votes(faces, Path(ferplus))
