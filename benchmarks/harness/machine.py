"""Sentences on the machine of a run: commit, load, and other work that makes absolute times worthless."""

from collections.abc import Mapping
from typing import Any

from fer_deploy.bench.machine.host import BackgroundWork


def machine_lines(host: Mapping[str, Any] | None) -> list[str]:
    """Return Markdown lines about the "host" of a result; None: the result is from before it was noted."""
    if host is None:
        return []
    commit = "an installed package" if host["commit"] is None else f"commit {host['commit'][:10]}"
    changed = " with changes" if host["is_dirty"] else ""
    features = ", ".join(host["environment"]["cpu_features"])
    cores = f"{host['num_cores']} core{'s' if host['num_cores'] != 1 else ''}"
    lines = [
        f"{cores}, {features or 'no vector instructions that matter'}; {commit}{changed}; "
        f"load before {_load(host['load_before'])}, after {_load(host['load_after'])}.",
    ]
    if host["background"]:
        found = [BackgroundWork(**work) for work in host["background"]]
        work = "; ".join(f"`{one.command}` ({one.advice})" for one in found)
        lines += ["", f"**Other work of this project ran meanwhile: only ratios are meaningful.** {work}"]
    return lines


def _load(load: float | None) -> str:
    return "unknown" if load is None else f"{load:g}"
