"""fer-deploy agree: printing around `agreement`."""

import json
from importlib import import_module
from pathlib import Path

import click

from fer_deploy.errors import ConfigError, MissingDependencyError, SinkError
from fer_deploy.files import durable


def agree(paths: tuple[Path, ...], png: Path | None, samples: int, seed: int, as_json: bool) -> None:
    """Compare results with codes; see `fer_deploy.cli.flags.agree` for the flags."""
    *results, codes = paths
    if not results:
        raise ConfigError(f"{codes} is the only file. Fix: fer-deploy agree RESULT... CODES.csv")
    if png is not None and png.suffix.lower() != ".png":
        raise ConfigError(f"--png {png} has the suffix of another format. Fix: --png {png.stem}.png")
    try:
        found = import_module("fer_deploy.agreement.agreement").agreement(
            results, codes, num_samples=samples, seed=seed
        )
        picture = None if png is None else import_module("fer_deploy.agreement.picture").confusion_png(found)
    except ModuleNotFoundError as err:
        raise MissingDependencyError(f"{err.name} is not installed. Fix: pip install 'fer-toolchain[analyze]'") from err
    if png is not None and picture is not None:
        _write(png, picture)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        import_module("fer_deploy.cli.agree.table").print_agreement(found)


def _write(path: Path, content: bytes) -> None:
    try:
        durable.write_whole(path, content)
    except OSError as err:
        raise SinkError(f"cannot write {path}: {err.strerror or err}. Fix: another --png") from err
