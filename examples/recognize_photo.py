"""Name the emotion of every face in pictures.

python examples/recognize_photo.py photo.jpg another.png
"""

import sys

from fer_deploy import FerDeployError, Recognizer


def main(paths: list[str]) -> None:
    """Print a line for each face."""
    with Recognizer() as recognizer:
        for path, faces in zip(paths, recognizer.analyze(paths), strict=True):
            for face in faces:
                print(f"{path}: {face.shown_label} ({face.confidence:.0%}) at {face.box}")  # noqa: T201


if __name__ == "__main__":
    if not sys.argv[1:] or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    try:
        main(sys.argv[1:])
    except FerDeployError as err:
        sys.exit(f"error: {err}")
