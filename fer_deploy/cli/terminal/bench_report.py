"""What fer-deploy bench prints: a table for each use, first results, and what was not measured."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fer_deploy.bench.outcome import Outcome
from fer_deploy.bench.ranking import Ranked
from fer_deploy.engines.best import USES, Use
from fer_deploy.errors import with_flags_alone
from fer_deploy.live.file_names import printable

_MB = 1e6


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print the tables; each is 80 columns wide at most."""
    environment = outcome.host.environment
    console.print(f"{environment.cpu}, {outcome.cores} of {environment.cores_in_words}; not MLPerf", soft_wrap=True)
    prefix = _common_prefix(outcome)
    for use, ranked in outcome.ranked.items():
        if use == "workers" and ranked is outcome.ranked["single"]:
            console.print("\na worker on each core: there is one core, so the same\n", soft_wrap=True)
            continue
        console.print(_table(outcome, use, ranked, prefix))
        for one in ranked:
            console.print(
                f"  {one.result.artifact.path.name}, {one.result.candidate.engine_text}: {one.verdict}", soft_wrap=True
            )
        console.print()
    console.print(_first_results(outcome, prefix))
    _print_notes(outcome, console)


def _table(outcome: Outcome, use: Use, ranked: Sequence[Ranked], prefix: str) -> Table:
    table = Table(title=USES[use] + (f"; files {prefix}*" if prefix else ""), title_justify="left", width=80)
    table.add_column("file", overflow="fold", ratio=3)
    table.add_column("engine", overflow="fold", ratio=4)
    columns = (
        "p50 ms",
        "p99 ms",
        "faces/s",
        "batch",
        "points",
        *(["roof"] if outcome.roofs else []),
        *(["mJ"] if outcome.meter.source else []),
    )
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for one in ranked:
        result = one.result
        batch = result.batch_within(outcome.config.latency_budget) or 1
        share = outcome.share_of_roof(one)
        table.add_row(
            _short(result.artifact.path.name, prefix) + ("" if result.is_stable else " *"),
            result.candidate.engine_text.replace("ONNX Runtime", "ORT"),
            f"{result.single.latency_ms(50):.2f}",
            f"{result.single.latency_ms(99):.2f}",
            f"{result.offline.by_batch[batch].per_s:,.0f}",
            str(batch),
            result.drop.in_words(),
            *([("" if share is None else f"{share:.0%}")] if outcome.roofs else []),
            *(["" if result.joules is None else f"{1e3 * result.joules:.1f}"] if outcome.meter.source else []),
            style="bold" if one is ranked[0] and one.is_usable else "" if one.is_usable else "dim",
        )
    return table


def _first_results(outcome: Outcome, prefix: str) -> Table:
    table = Table(title="in a fresh process", title_justify="left", width=80)
    table.add_column("file", overflow="fold", ratio=3)
    table.add_column("engine", overflow="fold", ratio=4)
    for name in ("MB", "load ms", "first ms", "total s", "RSS MB"):
        table.add_column(name, justify="right", no_wrap=True)
    for candidate, found in outcome.cold.items():
        table.add_row(
            _short(candidate.path.name, prefix),
            candidate.engine_text.replace("ONNX Runtime", "ORT"),
            f"{candidate.path.stat().st_size / _MB:.1f}",
            f"{found.load_ms:.0f}",
            f"{found.first_ms:.1f}",
            f"{found.total_ms / 1e3:.2f}",
            "" if found.rss_bytes is None else f"{found.rss_bytes / _MB:.0f}",
        )
    return table


def _print_notes(outcome: Outcome, console: Console) -> None:
    def say(text: str) -> None:
        console.print(text, soft_wrap=True)

    if any(not one.result.is_stable for ranked in outcome.ranked.values() for one in ranked):
        say("* not stable: the last windows differ by more than 10 %. Other work runs here, or the clock changes")
    say("points: accuracy lost against the checkpoint; <=: at most, since so many answers differ")
    if outcome.roofs:
        say("roof: share of what FP32 products and copies of numpy allow on as many threads")
    say(f"{'mJ: ' if outcome.meter.source else ''}energy of the whole machine for one face: {outcome.meter.in_words}")
    if outcome.server is not None:
        say(
            f"arrivals at random times: up to {outcome.server.rate:,.0f} faces/s with p99 within "
            f"{outcome.server.limit_ms:g} ms"
        )
    if outcome.left_out:
        say(f"a look (--quick) leaves out: {'; '.join(outcome.left_out)}")
    for reason, group in groupby(sorted(outcome.skipped, key=lambda one: one.reason), key=lambda one: one.reason):
        say(f"not measured: {', '.join(one.what for one in group)}: {with_flags_alone(reason)}")
    for work in outcome.host.background:
        say(f"beside other work, so times are worthless: {work.command} (pid {work.pid})")


def _short(name: str, prefix: str) -> str:
    return printable(Path(name.removeprefix(prefix).removesuffix(".onnx")))


def _common_prefix(outcome: Outcome) -> str:
    """Return what all file names begin with, up to a hyphen."""
    names = [candidate.path.name for candidate in outcome.cold]
    words = names[0].split("-") if len(names) > 1 else []
    prefixes = ["-".join(words[:number]) + "-" for number in range(len(words) - 1, 0, -1)]
    return next((one for one in prefixes if all(name.startswith(one) for name in names)), "")
