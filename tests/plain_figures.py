"""Draw Matplotlib's figures without arranging their parts, which takes most of the time of a small run."""

from typing import Any


def draw_plainly(dpi: int | None = None) -> None:
    """Let every figure of this process be saved as it is, with these dots per inch if given."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second, and some tests have none

    save = Figure.savefig

    def save_as_it_is(figure: Figure, *where: Any, **settings: Any) -> None:
        figure.set_layout_engine("none")
        save(figure, *where, **settings | ({} if dpi is None else {"dpi": dpi}))

    Figure.savefig = save_as_it_is  # type: ignore[method-assign]
