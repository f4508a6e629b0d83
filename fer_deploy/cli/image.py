"""fer-deploy image: settings and printing around `Recognizer.analyze`."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from fer_deploy.cli.options import engine_line, in_groups, settings_from_flags
from fer_deploy.detectors import detector_line
from fer_deploy.detectors.yunet_file import file_at_hand
from fer_deploy.errors import ConfigError, SinkError, StreamError
from fer_deploy.files import durable
from fer_deploy.live.drawing.drawn_png import is_drawn_png, png_from_picture
from fer_deploy.live.drawing.overlay import draw_result
from fer_deploy.live.file_names import printable
from fer_deploy.live.fingerprint.run_fingerprint import RunFingerprint, digest_of_files
from fer_deploy.live.fingerprint.sources import fingerprint_of_run
from fer_deploy.live.output_files import Named, frames_path, require_apart, require_fitting_suffixes
from fer_deploy.live.sinks import CsvSink
from fer_deploy.live.sinks.result_json import line_from_result
from fer_deploy.live.sinks.whole_lines import STANDARD_OUTPUT
from fer_deploy.live.sources.pictures import open_still, pictures_in_folder
from fer_deploy.live.sources.stills import STANDARD_INPUT
from fer_deploy.recognizer import Recognizer, RecognizerConfig
from fer_deploy.vision.types import FaceResult, Frame, FrameResult

_KEYS = in_groups(
    {
        "detection": ("detector", "detector_model", "min_face", "max_faces", "min_score"),
        "pipeline.people": ("unsure_below",),
    }
)
_MOST_AT_ONCE = 16
_MOST_PIXELS = 50_000_000
"""Pictures that are in memory together: so many, or of so many pixels."""
_MOST_NAMES = 10


def image(files: tuple[Path, ...], as_json: bool, csv: Path | None, annotate: Path | None, **flags: Any) -> None:
    """Recognize emotions in pictures; see `fer_deploy.cli.flags.image` for the flags."""
    config = settings_from_flags(RecognizerConfig, None, flags, _KEYS)
    # Our own errors name the cause; OpenCV's warnings would bury them.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    console = Console(stderr=True, markup=False)  # files may have brackets in their names
    run = _Run(console, as_json=as_json)
    files = tuple(STANDARD_INPUT if path == STANDARD_OUTPUT and not path.exists() else path for path in files)
    paths = run.pictures_of(files)
    drawn = {} if annotate is None else _drawn_paths(paths, annotate)
    _require_replaceable(annotate, drawn)
    _require_apart(csv, drawn, [*files, *paths], config)
    if paths:
        _analyze(run, paths, config, csv=csv, drawn=drawn)
    run.finish()


def _analyze(
    run: "_Run", paths: Sequence[Path], config: RecognizerConfig, *, csv: Path | None, drawn: Mapping[Path, Path]
) -> None:
    """Send the result of each picture to every output."""
    with Recognizer(config=config) as recognizer, ExitStack() as opened:
        run.say(engine_line(recognizer, config))
        run.say(detector_line(config.detection))
        table = None
        if csv is not None:
            sink = CsvSink(csv, recognizer.labels, has_names=True, run=_fingerprint(config, paths))
            table = opened.enter_context(sink)
        for result in run.results(recognizer, paths):
            run.print(result)
            if table is not None:
                table.write(result, None)
            if drawn:
                _draw(result, recognizer.labels, drawn[paths[result.frame.index]])


def _fingerprint(config: RecognizerConfig, paths: Sequence[Path]) -> RunFingerprint:
    return fingerprint_of_run(config, config.pipeline, config.detection, digest_of_files(list(paths)))


class _Picture(NamedTuple):
    number: int
    path: Path
    pixels: NDArray[np.uint8]


class _Run:
    """Counts and prints the results of a run."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console, self._as_json = console, as_json
        self._num_pictures = self._num_faces = 0
        self._unreadable: list[Path] = []

    def pictures_of(self, files: Sequence[Path]) -> list[Path]:
        """Return the files, with each folder replaced by its pictures."""
        paths: list[Path] = []
        for path in files:
            try:
                found, notes = _pictures_in(path) if os.path.isdir(path) else ([path], ())
            except StreamError as err:
                self._note_failure(path, err)
                continue
            for note in notes:
                self.say(f"{printable(path)} {note}")
            paths += found
        return paths

    def results(self, recognizer: Recognizer, paths: Sequence[Path]) -> Iterator[FrameResult]:
        """Yield the result of each picture that can be read."""
        for group in self._groups(paths):
            for picture, faces in zip(group, recognizer.analyze([one.pixels for one in group]), strict=True):
                yield _result(picture, faces)

    def print(self, result: FrameResult) -> None:
        """Print a picture's faces."""
        self._num_pictures += 1
        self._num_faces += len(result.faces)
        if self._as_json:
            click.echo(line_from_result(result))
            return
        if not result.faces:
            click.echo(f"{printable(result.frame.name)}: no face")
        for face in result.faces:
            click.echo(f"{printable(result.frame.name)}: {_face_words(face)}")

    def finish(self) -> None:
        """Print the totals.

        Raises:
            StreamError: pictures could not be read.
        """
        self.say(f"{_count(self._num_pictures, 'picture')}, {_count(self._num_faces, 'face')}")
        if not self._unreadable:
            return
        names = [printable(path) for path in self._unreadable]
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        raise StreamError(
            f"{len(names)} of {self._num_pictures + len(names)} could not be read: {', '.join(names[:_MOST_NAMES])}"
            f"{more}. Fix: see above for the reasons"
        )

    def _groups(self, paths: Sequence[Path]) -> Iterator[list[_Picture]]:
        group: list[_Picture] = []
        for number, path in enumerate(paths):
            try:
                still = open_still(path)
                pixels = next(still.frames()).pixels
            except StreamError as err:
                self._note_failure(path, err)
                continue
            if still.num_frames > 1:
                self.say(
                    f"{printable(path)} holds {still.num_frames} pictures, and the first is analyzed. "
                    f"For all: fer-deploy live --source {printable(path)}"
                )
            group.append(_Picture(number, path, pixels))
            if len(group) == _MOST_AT_ONCE or sum(one.pixels.size // 3 for one in group) > _MOST_PIXELS:
                yield group
                group = []
        if group:
            yield group

    def _note_failure(self, path: Path, err: StreamError) -> None:
        self._unreadable.append(path)
        self.say(f"unreadable: {err}")

    def say(self, text: str) -> None:
        """Print a line to standard error."""
        self._console.print(text, highlight=False, soft_wrap=True)


def _result(picture: _Picture, faces: list[FaceResult]) -> FrameResult:
    name = STANDARD_OUTPUT if picture.path == STANDARD_INPUT else picture.path
    frame = Frame(picture.pixels, picture.number, 0.0, time.monotonic_ns(), str(name))
    return FrameResult(frame, tuple(faces))


def _face_words(face: FaceResult) -> str:
    box, seen = face.box, f"{face.label} {face.confidence:.0%}"
    words = seen if face.is_sure else f"{face.shown_label} ({'; '.join([seen, *face.flags])})"
    return f"{words} at {box.x1},{box.y1},{box.x2},{box.y2}"


def _count(num: int, noun: str) -> str:
    return f"{num:,} {noun}{'s' if num != 1 else ''}"


def _pictures_in(folder: Path) -> tuple[list[Path], Sequence[str]]:
    """Return the pictures in a folder without those that an earlier --annotate drew, and what to say of the others."""
    found, notes = pictures_in_folder(folder)
    kept = [path for path in found if not is_drawn_png(path)]
    left_out = (
        [f"has {_count(len(found) - len(kept), 'annotated picture')}, left out"] if len(kept) < len(found) else []
    )
    return kept, [*notes, *left_out]


def _require_replaceable(annotate: Path | None, drawn: Mapping[Path, Path]) -> None:
    """Raise ConfigError if --annotate is a file, or has pictures of the names to write that fer-deploy did not draw."""
    if annotate is not None and annotate.exists() and not annotate.is_dir():
        raise ConfigError(f"--annotate {printable(annotate)} is a file. Fix: a folder, such as --annotate drawn")
    others = [path for path in drawn.values() if path.exists() and not is_drawn_png(path)]
    if others:
        raise ConfigError(
            f"{printable(others[0])} exists, and fer-deploy did not draw it; it would be overwritten. "
            "Fix: another --annotate, such as a new folder"
        )


def _drawn_paths(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Return the annotated picture's path for each picture: NAME.png, or NAME-2.png if the name is taken."""
    drawn: dict[Path, Path] = {}
    taken: set[str] = set()
    for path in paths:
        if path in drawn:
            continue
        name, number = path.stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{path.stem}-{number}"
        taken.add(name.casefold())
        drawn[path] = folder / f"{name}.png"
    return drawn


def _require_apart(csv: Path | None, drawn: dict[Path, Path], read: Sequence[Path], config: RecognizerConfig) -> None:
    """Raise ConfigError if an output is also an input, or has a wrong suffix."""
    if csv == STANDARD_OUTPUT:
        raise ConfigError("csv cannot go to standard output. Fix: --csv FILE, or --json")
    written: list[Named] = [("annotate", path) for path in drawn.values()]
    written += [] if csv is None else [("csv", csv), ("csv", frames_path(csv))]
    named: list[Named] = [("picture", path) for path in read]
    named += [("engine", path) for path in config.model_files()]
    detector = None if config.detection.detector == "haar" else file_at_hand(config.detection.detector_model)
    named += [] if detector is None else [("detector model", detector)]
    try:
        require_fitting_suffixes([] if csv is None else [("csv", csv)], flags=("csv",))
        require_apart(written, named)
    except ValueError as err:
        raise ConfigError(str(err)) from err


def _draw(result: FrameResult, labels: tuple[str, ...], path: Path) -> None:
    png = png_from_picture(draw_result(result, labels), name=printable(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write_whole(path, png)
    except OSError as err:
        raise SinkError(f"cannot write {printable(path)}: {err.strerror}. Fix: another --annotate") from err
