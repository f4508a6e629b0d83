"""What fer-deploy bench FILE --layers prints: the slowest layers, and the sums by operator."""

from rich.console import Console

from fer_deploy.bench.layers import LayerTimes, lines_of
from fer_deploy.live.file_names import printable

_SHOWN = 15


def print_layers(times: LayerTimes, console: Console) -> None:
    """Print the slowest layers with their shares, then each operator."""
    console.print(
        f"{printable(times.file)} with {times.engine}, batch {times.batch}, {times.num_calls} calls: "
        f"{times.call_ms:.3f} ms a call, {times.layers_ms:.3f} ms of it in layers (medians, with the profile on)",
        soft_wrap=True,
    )
    for title, layers in (("slowest layers", times.top(_SHOWN)), ("by operator", times.by_operator())):
        console.print(f"\n{title}")
        for line in lines_of(layers):
            console.print(printable(line), soft_wrap=True)
