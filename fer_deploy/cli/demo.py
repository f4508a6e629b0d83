"""fer-deploy demo: the live loop on a clip with people, or on drawn faces where there is no network."""

from pathlib import Path
from typing import Any, Final

import click

from fer_deploy.cli.live import run_live, silence_libraries, tell
from fer_deploy.errors import ConfigError, SinkError
from fer_deploy.files.durable import write_whole
from fer_deploy.live.config import LiveConfig
from fer_deploy.live.demo.files import ATTRIBUTION, LIMIT_S, demo_clip, demo_detector, fetch_once
from fer_deploy.live.demo.self_test import SelfTest
from fer_deploy.settings import load_settings

NUM_DRAWN: Final = 300
"""Frames of drawn faces: each of the four expressions once, for each of two people."""


def demo(out: Path, drawn: bool, verbose: bool) -> None:
    """Run the demo; see `fer_deploy.cli.flags.demo` for the flags."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file. Fix: a folder, such as --out demo")
    silence_libraries()
    reason = "--drawn" if drawn else fetch_once([demo_detector(), demo_clip()], limit_s=LIMIT_S)
    if reason:
        _run_drawn(out, reason, verbose=verbose)
    else:
        _run_clip(out, verbose=verbose)


def _run_clip(out: Path, *, verbose: bool) -> None:
    clip = demo_clip().path
    detection = {"detector": "yunet", "detector_model": demo_detector().path}
    config = _config(out, {"source": (str(clip),), "detection": detection})
    tell(f"clip: {ATTRIBUTION}")
    run_live(config, verbose=verbose)
    _write_attribution(out)


def _run_drawn(out: Path, reason: str, *, verbose: bool) -> None:
    if reason != "--drawn":
        tell(f"drawn faces, because there is no clip with people: {reason}")
    config = _config(out, {"source": ("synthetic",), "pipeline": {"max_frames": NUM_DRAWN}})
    self_test = SelfTest()
    run_live(config, verbose=verbose, more_sinks=[self_test])
    for line in self_test.lines():
        click.echo(line)


def _config(out: Path, given: dict[str, Any]) -> LiveConfig:
    output = {"display": False, "record": out / "demo.mp4", "jsonl": out / "demo.jsonl"}
    return load_settings(LiveConfig, None, given | {"output": output})


def _write_attribution(out: Path) -> None:
    """Write the clip's authors and licence beside the video, as the licence requires.

    Raises:
        SinkError: it cannot be written.
    """
    path = out / "attribution.txt"
    try:
        write_whole(path, f"demo.mp4: {ATTRIBUTION}\n".encode())
    except OSError as err:
        raise SinkError(f"cannot write {path}: {err.strerror or err}. Fix: another --out") from err
