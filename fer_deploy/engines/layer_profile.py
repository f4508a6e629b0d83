"""LayerProfile: the time of every layer in every call, as a runtime reports it. The same for all runtimes."""

from typing import NamedTuple


class LayerSample(NamedTuple):
    """One layer in one call.

    Attributes:
        name: of the layer in the runtime; fused layers have one name.
        operator: such as "Conv"; empty: the runtime does not tell it.
        ms: its time.
    """

    name: str
    operator: str
    ms: float


class LayerProfile(NamedTuple):
    """Layers of several calls.

    Attributes:
        engine: description of the runtime.
        calls: for each call its layers, in the order in which they ran.
        call_ms: the time of each call; more than the sum of its layers.
    """

    engine: str
    calls: list[list[LayerSample]]
    call_ms: list[float]
