"""The loop as an iterator: say who is there, and when what they show changes.

    python examples/react_to_faces.py synthetic
    python examples/react_to_faces.py 0                      # the first camera
    python examples/react_to_faces.py rtsp://camera/stream

A live source never waits for this program: results that it is too slow for are dropped. A file waits.
"""

import sys

from fer_deploy.detectors import DetectorConfig, build_detectors
from fer_deploy.engines import bundled_model_for, open_engine
from fer_deploy.errors import FerDeployError
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sources import open_source


def main(source: str) -> None:
    """Print a line whenever a person comes or shows something else."""
    shown: dict[int, str] = {}
    with open_engine(bundled_model_for("auto"), threads=1) as engine:
        for result in LivePipeline(open_source(source), build_detectors(DetectorConfig()), engine):
            for face in result.faces:
                track = face.face.track_id
                if shown.get(track) != face.shown_label:
                    shown[track] = face.shown_label
                    certainty = f"{face.smoothed.confidence:.0%}"
                    print(f"{result.frame.time_s:8.2f} s  person {track}: {face.shown_label} ({certainty})")  # noqa: T201
            if result.frame.index == 299:
                break  # ends the run: the threads and the source are closed when the loop is left


if __name__ == "__main__":
    if sys.argv[1:] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "synthetic")
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
    except FerDeployError as err:
        sys.exit(f"error: {err}")
