"""Parse Kaggle's CSV files: fer2013.csv (emotion,pixels,Usage) and icml_face_data.csv ("emotion, Usage, pixels")."""

import re
import shlex
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_train.data.faces import EMOTIONS, FACE_SIZE, Faces
from fer_train.data.readers.table import find_encoding, open_table
from fer_train.errors import DataError

USAGES = ("Training", "PublicTest", "PrivateTest")
COLUMNS = ("emotion", "pixels", "usage")
MAX_NAMED_ROWS = 10
_FIX = "Fix: give Kaggle's fer2013.csv or icml_face_data.csv as --data; download it again if it is damaged"
_FIX_QUOTE = 'Fix: close the quote, or write a quote that is text as "" within quotes'
_EXPECTED = "Expected a CSV with the columns emotion, pixels and Usage."
_NUM_PIXELS = FACE_SIZE * FACE_SIZE


def parse_csv(path: Path, sha256: str) -> Faces:
    """Read every row of a Kaggle FER2013 CSV.

    Args:
        path: the file; column order, spaces in column names, delimiter and encoding do not matter.
        sha256: the file's digest, kept as provenance.

    Raises:
        DataError: another kind of file, an unclosed quote, or invalid rows; the message names the first ten by line.
    """
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    usages: list[str] = []
    faults: list[str] = []
    if kind := _picture_kind(path):
        raise DataError(
            f"{path} is a picture ({kind}), not a data set. {_EXPECTED} Fix: give Kaggle's fer2013.csv as --data, or a "
            "folder with train/<class>/ and test/<class>/ pictures; fer-deploy image shows the emotion of one picture"
        )
    if guess := _guess_binary(path):
        raise DataError(f"{path} {guess}. {_EXPECTED} {_FIX}")
    with open_table(path, fix=_FIX_QUOTE) as table:
        columns = _find_columns(path, table.columns)
        for row in table.rows:
            try:
                label, image, usage = _parse_row(row.cells, columns)
            except ValueError as err:
                faults.append(f"  line {row.line}: {err}")
                if len(faults) == MAX_NAMED_ROWS:
                    break
                continue
            images.append(image)
            labels.append(label)
            usages.append(usage)
    if faults:
        more = " (stopped there)" if len(faults) == MAX_NAMED_ROWS else ""
        raise DataError(f"{path}: {len(faults)} bad row(s){more}:\n" + "\n".join(faults) + f"\n{_FIX}")
    if not images:
        raise DataError(f"{path} has a header but no rows; the full file has 35,887. {_FIX}")
    return Faces(
        images=np.stack(images).reshape(-1, FACE_SIZE, FACE_SIZE),
        labels=np.array(labels, dtype=np.int64),
        splits=np.array(usages),
        rows=np.arange(len(labels), dtype=np.int64),
        source_sha256=sha256,
    )


def _find_columns(path: Path, names: list[str]) -> dict[str, int]:
    if twice := [name for name in COLUMNS if names.count(name) > 1]:
        raise DataError(f"{path} has the column {twice[0]} twice. Fix: keep the one that counts")
    if all(column in names for column in COLUMNS):
        return {column: names.index(column) for column in COLUMNS}
    guess, encoding = _guess(names), _wide_encoding(path)
    if guess or not encoding:
        raise DataError(f"{path} {guess or _columns_in_words(names)}. {_EXPECTED} {_FIX}")
    source, target = (shlex.quote(str(name)) for name in (path, path.with_name(f"{path.stem}-utf8.csv")))
    raise DataError(
        f"{path} was read as {encoding} and {_columns_in_words(names)}. {_EXPECTED} Fix: save it as UTF-8, with "
        f"iconv -f {encoding} -t UTF-8 {source} > {target}, or give Kaggle's fer2013.csv as --data"
    )


def _wide_encoding(path: Path) -> str:
    """Return the encoding that a file is read in, as iconv calls it; empty for UTF-8."""
    with path.open("rb") as file:
        encoding = find_encoding(file.read(512)).upper()
    return "" if encoding.startswith("UTF-8") else re.sub("-(.E)$", r"\1", encoding)


def _columns_in_words(names: list[str]) -> str:
    return f"has the columns {', '.join(names)[:120]}"


def _picture_kind(path: Path) -> str:
    """Return the format of a picture by its first bytes, else an empty string."""
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WebP"
    return next((kind for magic, kind in _PICTURES.items() if start.startswith(magic)), "")


def _guess_binary(path: Path) -> str:
    """Return the probable kind of a file that is not text, else an empty string."""
    with path.open("rb") as file:
        start = file.read(512)
    kinds = [kind for magic, kind in _MAGIC.items() if start.lstrip().startswith(magic)]
    if not kinds and b"\0" in start and find_encoding(start) == "utf-8":
        kinds = ["a binary file"]
    return f"seems to be {kinds[0]}" if kinds else ""


def _guess(names: list[str]) -> str:
    """Return what a file with these columns seems to be; empty if unknown."""
    if not names:
        return "is empty"
    if "image name" in names:
        return "seems to be FER+'s vote file (fer2013new.csv); give it with --ferplus, beside fer2013.csv"
    if set(names) == {"emotion", "pixels"}:
        return "seems to be the challenge's train.csv, which lacks the Usage column"
    return ""


_PICTURES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
_MAGIC = {
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"<": "a web page, perhaps a login page that was downloaded instead of the data",
}


def _parse_row(row: list[str], columns: dict[str, int]) -> tuple[int, NDArray[np.uint8], str]:
    if len(row) <= max(columns.values()):
        raise ValueError(f"has {len(row)} columns, expected {max(columns.values()) + 1}")
    emotion, pixels, usage = (row[columns[name]].strip() for name in COLUMNS)
    if not emotion.isdecimal() or int(emotion) >= len(EMOTIONS):
        raise ValueError(f"label {emotion!r} is not 0 to {len(EMOTIONS) - 1}")
    if usage not in USAGES:
        raise ValueError(f"usage {usage!r} is not one of {', '.join(USAGES)}")
    return int(emotion), _parse_pixels(pixels), usage


def _parse_pixels(text: str) -> NDArray[np.uint8]:
    if not text:
        raise ValueError("pixels are missing")
    # bytes.split + fromiter would need minutes for the file; numpy's own text parser needs seconds.
    if text.translate(_DIGITS_AWAY).strip():
        raise ValueError("pixels contain something that is not a whole number")
    values = np.fromstring(text, dtype=np.int64, sep=" ")  # too large a number becomes the largest one
    if len(values) != _NUM_PIXELS:
        raise ValueError(f"has {len(values):,} pixels, expected {_NUM_PIXELS:,} (48x48)")
    if values.max() > 255:
        too_large = text.split()[int((values > 255).argmax())]
        raise ValueError(f"pixel value {too_large[:12]} is not 0 to 255")
    return values.astype(np.uint8)


_DIGITS_AWAY = str.maketrans("", "", "0123456789")
