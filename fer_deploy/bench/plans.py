"""How long `fer-deploy bench` measures, and what --quick leaves out."""

from dataclasses import dataclass
from typing import Final

from fer_deploy.bench.agreement import NUM_FACES
from fer_deploy.bench.windows import QUICK, WindowPlan


@dataclass(frozen=True)
class Plans:
    """How long to measure, and what.

    Attributes:
        single: windows with one image a call.
        batches: windows of each batch size.
        pairs: windows of the pairs.
        threads: windows in which the numbers of threads are compared.
        server_s: length of each run with arrivals at random times; None: they are left out.
        most_batch: largest batch.
        longest_ms: no batch is tried whose call would take longer.
        batch_step: each batch is so many times as large as the one before.
        patience: batches in a row without a gain after which no larger one is tried.
        most_rivals: of the best candidates, so many are measured again in pairs.
        num_pairs: pairs of windows.
        num_faces: drawn faces on which answers are compared.
        spins: whether threads that wait in a busy loop are tried.
        has_roofs: whether the rates of the machine are measured.
    """

    single: WindowPlan
    batches: WindowPlan
    pairs: WindowPlan
    threads: WindowPlan = QUICK
    server_s: float | None = 2.0
    most_batch: int = 256
    longest_ms: float = 1000.0
    batch_step: int = 2
    patience: int = 2
    most_rivals: int = 4
    num_pairs: int = 15
    num_faces: int = NUM_FACES
    spins: bool = True
    has_roofs: bool = True

    def left_out(self, usual: "Plans") -> tuple[str, ...]:
        """Return what another plan measures and this one does not, as text."""
        shorter = f"windows of {usual.single.window_s:g} s: they last {self.single.window_s:g} s"
        sizes = f"batches between {', '.join(str(self.batch_step**power) for power in range(3))}, ..."
        pairs = f"pairs of all that are close: {self.num_pairs} of the best {self.most_rivals}, not {usual.num_pairs}"
        faces = f"answers on {usual.num_faces} faces: they are compared on {self.num_faces}"
        found = {
            shorter: self.single.window_s < usual.single.window_s,
            faces: self.num_faces < usual.num_faces,
            sizes: self.batch_step > usual.batch_step,
            pairs: (self.most_rivals, self.num_pairs) < (usual.most_rivals, usual.num_pairs),
            "threads that wait in a busy loop": usual.spins and not self.spins,
            "arrivals at random times": usual.server_s is not None and self.server_s is None,
            "share of the roof": usual.has_roofs and not self.has_roofs,
        }
        return tuple(text for text, is_left_out in found.items() if is_left_out)


_SHORT: Final = WindowPlan(window_s=0.2, warm_up_s=0.1)
_GLANCE: Final = WindowPlan(window_s=0.04, warm_up_s=0.01, most=3)
USUAL: Final = Plans(WindowPlan(), _SHORT, _SHORT)
BRIEF: Final = Plans(
    WindowPlan(window_s=0.1, warm_up_s=0.05, most=4),
    _GLANCE,
    _GLANCE,
    _GLANCE,
    server_s=None,
    most_batch=64,
    longest_ms=250.0,
    batch_step=4,
    patience=1,
    most_rivals=3,
    num_pairs=9,
    num_faces=NUM_FACES // 2,
    spins=False,
    has_roofs=False,
)
