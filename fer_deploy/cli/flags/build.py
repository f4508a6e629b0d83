"""The flags of fer-deploy build."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import FILE, Command, option


class ShapeType(click.ParamType[Any]):
    """Sizes of a tensor, such as 1x3x288x480."""

    name = "shape"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of int."""
        try:
            return tuple(int(size) for size in value.split("x"))
        except ValueError:
            self.fail(f"{value!r} is not a shape; expected for example 1x3x288x480", param, ctx)


@click.command(
    "build",
    cls=Command,
    examples=[
        (
            "a plan for PCs with RTX, built without a GPU",
            "fer-deploy build --onnx artifacts/net/net-fp16.onnx --out net.plan --flavor tensorrt-rtx",
        ),
        (
            "a plan for this machine's GPU, for batches of 1 to 16 faces",
            "fer-deploy build --onnx artifacts/net/net-fp16.onnx --out net.plan --profile 1 4 16",
        ),
        (
            "a face detector, whose input has a name and a shape",
            "fer-deploy build --onnx face_detection_yunet_2026may.onnx --out yunet.plan \\\n"
            "    --input-shapes input 1x3x288x480 1x3x288x480 1x3x288x480",
        ),
    ],
)
@option("--onnx", type=FILE, metavar="FILE", required=True, help="Model to build; its graph fixes the precision.")
@option("--out", type=FILE, metavar="FILE", required=True, help="The .plan to write; its manifest goes beside it.")
@option(
    "--flavor",
    type=click.Choice(["tensorrt", "tensorrt-rtx"]),
    default_text="tensorrt",
    help="tensorrt builds on a GPU for that GPU; tensorrt-rtx builds without one.",
)
@option("--profile", type=int, nargs=3, metavar="MIN OPT MAX", default_text="1 4 64", help="Batch sizes.")
@option(
    "--input-shapes",
    type=(str, ShapeType(), ShapeType(), ShapeType()),
    multiple=True,
    metavar="NAME MIN OPT MAX",
    help="Shapes of an input, such as 1x3x288x480, for a network without ModelSpec, such as a face detector. "
    "Repeat it for each input.",
)
@option(
    "--workspace-mib", type=int, metavar="MIB", default_text="1024", help="GPU memory that a layer may use for scratch."
)
@option(
    "--compute-capability",
    "compute_capabilities",
    multiple=True,
    metavar="X.Y",
    default_text="all but 7.5",
    help="tensorrt-rtx: a GPU generation that the plan is for, such as 8.6. Repeat it for several.",
)
@option(
    "--hardware-compatibility",
    type=click.Choice(["none", "same_compute_capability", "ampere_plus"]),
    default_text="none",
    help="tensorrt: other GPUs that may run the plan.",
)
@option(
    "--version-compatible/--no-version-compatible",
    default=None,
    default_text="no",
    help="tensorrt: newer versions may load the plan.",
)
@option(
    "--timing-cache",
    type=FILE,
    metavar="FILE",
    help="tensorrt: file of kernel timings, which makes the next build faster.",
)
@option("--tf32/--no-tf32", default=None, default_text="no", help="Let FP32 convolutions round to TF32.")
@shared_flags.config("docs/export.md")
def command(**flags: Any) -> None:
    """Turn an ONNX model into a TensorRT plan with its manifest."""
    body("build")(**flags)
