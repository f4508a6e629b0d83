"""Write the model cards of weights/*.safetensors again, from what each file says of itself and from weights/notes.

    python docs/tools/cards.py            # make docs
    python docs/tools/cards.py --check    # 1 if a card differs

Nothing is measured: `fer-train release` did that. It is for sentences of the card that have changed since.
"""

import sys
import tempfile
from pathlib import Path

from safetensors import safe_open

from fer_train.checkpoint import load_release
from fer_train.release.card import WeightsFile, write_card

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"


def notes_of(path: Path) -> Path:
    """Return the file of notes of released weights; weights without one are somebody's own and are left alone."""
    return path.parent / "notes" / f"{path.stem}.md"


def card_of(path: Path) -> str:
    """Return the model card of a released file."""
    model, spec = load_release(path)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    weights = WeightsFile(path.name, num_parameters, path.stat().st_size, _dtype(path))
    notes = notes_of(path).read_text()
    with tempfile.TemporaryDirectory() as folder:
        card = Path(folder) / f"{path.stem}.md"
        write_card(card, spec, weights, notes=notes)
        return card.read_text()


def _dtype(path: Path) -> str:
    with safe_open(path, framework="pt") as file:
        names = {str(file.get_tensor(name).dtype) for name in file.keys()}  # noqa: SIM118 - it is no dict
    return next(name.removeprefix("torch.") for name in names if "float" in name)


if __name__ == "__main__":
    released = [WEIGHTS / f"{notes.stem}.safetensors" for notes in sorted((WEIGHTS / "notes").glob("*.md"))]
    cards = {path.with_suffix(".md"): card_of(path) for path in released}
    if "--check" in sys.argv[1:]:
        differ = [card.name for card, text in cards.items() if not card.exists() or card.read_text() != text]
        sys.exit(f"not what the weights and their notes say: {', '.join(differ)}. Fix: make docs" if differ else 0)
    for card, text in cards.items():
        card.write_text(text)
