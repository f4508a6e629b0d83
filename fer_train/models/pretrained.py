"""Load weights of others from a local file or an optional package into the adapted models of this package.

Only the following tensors are converted; all others must have the names and the shapes of the model.

- The first convolution was trained on red, green and blue. A gray image has the same value in all three, so the sum of
  a kernel over its colors gives the same output as the whole kernel. The mean would give a third of it, and the
  statistics of the following batch norm would be wrong.
- A kernel of another size (7x7 stem, 16x16 patches) is resampled, scaled by the ratio of the areas and shifted to its
  former sum, so that the output for flat regions does not change.
- The position embedding is interpolated on its grid (Dosovitskiy et al. 2021, arXiv 2010.11929, section 3.2).
- The classifier is left out, because its classes differ.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fer_train.errors import CheckpointError

_STATE_DICTS = {".safetensors", ".pth", ".pt"}
_FIX = "Fix: write the file again with torch.save(model.state_dict(), path) of that model, or leave pretrained out"


@dataclass(frozen=True)
class Layout:
    """Names in an architecture's state dict of the tensors to convert.

    Attributes:
        name: architecture and its origin, for errors.
        stem: name of the weight of the first convolution, (channels, colors, height, width).
        head: prefix of the classifier's names.
        positions: name of the position embedding (1, 1 + patches, width), class token first; None: there is none.
        convert: function from the file's names and values to the model's; None: they are the same.
        read: function from a file in a format of its own to the model's names and values; None: a state dict.
        bundled: function that returns the file of the optional package; None: no package contains one.
        bundled_as: value of `pretrained` for the file of that package, instead of a path.
        has_statistics: whether batch norm's running means and variances are among the weights. If not, measure them
            before the training with `measure_batch_norm`.
    """

    name: str
    stem: str
    head: str
    positions: str | None = None
    convert: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None
    read: Callable[[Path], dict[str, Tensor]] | None = None
    bundled: Callable[[], Path] | None = None
    bundled_as: str = "imagenet"
    has_statistics: bool = True


def load_pretrained(model: nn.Module, layout: Layout, path: Path) -> None:
    """Copy a torchvision state dict into the model, except for the classifier.

    Args:
        model: new model from its `build`.
        layout: layout of that architecture.
        path: .safetensors or torch.save file (.pth, .pt), or one for the layout's `read`; no code in it is run. The
            layout's `bundled_as` means the file of its package.

    Raises:
        MissingDependencyError: the path is `bundled_as`, and the package is not installed.
        CheckpointError: the file is missing, damaged, not a state dict, or of another model.
    """
    wanted = {name: value for name, value in model.state_dict().items() if not name.startswith(layout.head)}
    if layout.bundled is not None and path == Path(layout.bundled_as):
        path = layout.bundled()
    own_format = layout.read is not None and path.suffix not in _STATE_DICTS
    try:
        content = layout.read(path) if layout.read is not None and own_format else _read(path)
    except CheckpointError as err:
        if layout.read is None or own_format:
            raise
        raise CheckpointError(f"{err}. A file of {layout.name} in its own format needs its own ending") from err
    content = content if layout.convert is None else layout.convert(content)
    found = {name: value for name, value in content.items() if not name.startswith(layout.head)}
    if layout.stem in found:
        found[layout.stem] = _gray_kernel(found[layout.stem], wanted[layout.stem])
    if layout.positions in found and layout.positions is not None:
        found[layout.positions] = _positions_like(found[layout.positions], wanted[layout.positions])
    faults = _differences(wanted, found)
    if faults:
        raise CheckpointError(f"{path} does not hold weights of {layout.name}: {faults}. {_FIX}")
    model.load_state_dict(found, strict=False)


def resized_positions(positions: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return a position embedding (1, 1 + rows * columns, width) for another grid of patches.

    Args:
        positions: (1, 1 + side * side, width), class token first; returned unchanged if the grid is the same.
        grid: rows and columns.
    """
    side = math.isqrt(positions.shape[1] - 1)
    if grid == (side, side):
        return positions
    token, patches = positions[:, :1], positions[:, 1:]
    on_grid = patches.transpose(1, 2).reshape(1, -1, side, side)
    resized = F.interpolate(on_grid, grid, mode="bicubic", align_corners=False, antialias=True)
    return torch.cat([token, resized.flatten(2).transpose(1, 2)], dim=1)


def _gray_kernel(kernel: Tensor, like: Tensor) -> Tensor:
    """Sum a kernel (channels, 1 or 3, h, w) over colors and resample it to `like`; other tensors stay unchanged."""
    if kernel.ndim != 4 or kernel.shape[1] not in (1, 3):
        return kernel
    gray = kernel.float().sum(dim=1, keepdim=True)
    if gray.shape[2:] == like.shape[2:]:
        return gray
    resized = F.interpolate(gray, like.shape[2:], mode="bicubic", align_corners=False, antialias=True)
    num_taps = like[0, 0].numel()
    resized *= gray[0, 0].numel() / num_taps
    return resized + (gray.sum(dim=(2, 3), keepdim=True) - resized.sum(dim=(2, 3), keepdim=True)) / num_taps


def _positions_like(positions: Tensor, like: Tensor) -> Tensor:
    """Interpolate a position embedding (class token and a square grid) to the grid of `like`; else unchanged."""
    num_patches = positions.shape[1] - 1 if positions.ndim == 3 and len(positions) == 1 else 0
    if num_patches < 1 or math.isqrt(num_patches) ** 2 != num_patches:
        return positions
    side = math.isqrt(like.shape[1] - 1)
    return resized_positions(positions.float(), (side, side))


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as err:
        raise CheckpointError(
            f"no pretrained weights at {path}. Fix: a path to weights on this machine; fer-train downloads nothing"
        ) from err
    except (OSError, SafetensorError) as err:
        raise CheckpointError(f"cannot load {path}: {_first_line(err)}. {_FIX}") from err
    except Exception as err:  # torch.load raises many types, depending on which part is damaged
        raise CheckpointError(
            f"cannot load {path}: truncated, or not a state dict ({_first_line(err)}). {_FIX}"
        ) from err
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        seen = f"a dict of {', '.join(map(repr, list(content)[:3]))}" if isinstance(content, dict) else type(content)
        raise CheckpointError(f"{path} holds {seen}, expected the tensors of a state dict by name. {_FIX}")
    return content


def _differences(wanted: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    """Return why `found` cannot be loaded; an empty string if it can."""
    # Files from before 2018 have no count of batches, and this project does not read it.
    absent = [name for name in wanted if name not in found and not name.endswith("num_batches_tracked")]
    foreign = [name for name in found if name not in wanted]
    shapes = [
        f"{name} is {tuple(value.shape)} and not {tuple(wanted[name].shape)}"
        for name, value in found.items()
        if name in wanted and value.shape != wanted[name].shape
    ]
    broken = [name for name, value in found.items() if name in wanted and not bool(torch.isfinite(value).all())]
    parts = (
        (absent, "tensors are missing"),
        (foreign, "are foreign to it"),
        (shapes, "have another shape"),
        (broken, "hold values that are not finite"),
    )
    return "; ".join(f"{len(names)} {what} ({names[0]}{', ...' * (len(names) > 1)})" for names, what in parts if names)


def _first_line(err: BaseException) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0][:200]
