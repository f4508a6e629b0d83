"""Sentences on the machine of a run: commit, load, and other work that makes absolute times worthless."""

from fer_deploy.bench.machine.host import Host


def machine_lines(host: Host) -> list[str]:
    """Return Markdown lines about an ended `Host`."""
    commit = "an installed package" if host.commit is None else f"commit {host.commit[:10]}"
    changed = " with changes" if host.is_dirty else ""
    features = ", ".join(host.environment.cpu_features)
    cores = f"{host.num_cores} core{'s' if host.num_cores != 1 else ''}"
    lines = [
        f"{cores}, {features or 'no vector instructions that matter'}; {commit}{changed}; "
        f"load before {_load(host.load_before)}, after {_load(host.load_after)}.",
    ]
    if host.background:
        work = "; ".join(f"`{work.command}` ({work.advice})" for work in host.background)
        lines += ["", f"**Other work of this project ran meanwhile: only ratios are meaningful.** {work}"]
    return lines


def _load(load: float | None) -> str:
    return "unknown" if load is None else f"{load:g}"
