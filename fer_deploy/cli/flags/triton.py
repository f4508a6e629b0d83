"""The flags of fer-deploy triton."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import FILE, FOLDER, Command, option


class DeviceType(click.Choice[str]):
    """A device; the word of Triton's own files, gpu, is understood."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the choice."""
        return super().convert("cuda" if value == "gpu" else value, param, ctx)


@click.command(
    "triton",
    cls=Command,
    examples=[
        ("one model", "fer-deploy triton --engine artifacts/net/net-fp32.onnx --out models"),
        ("a model that ships with this program", "fer-deploy triton --model ferplus --out models"),
        (
            "two models, two copies of each",
            "fer-deploy triton --engine net-fp16.onnx --engine net-fp16.plan --out models --instances 2",
        ),
        (
            "a model and the detector",
            "fer-deploy triton --engine net-fp16.onnx --detector-model yunet.onnx --out models",
        ),
    ],
)
@option(
    "--engine",
    "artifacts",
    type=FILE,
    metavar="FILE",
    multiple=True,
    formerly=("--artifact",),
    help="An exported model, .onnx or .plan. Repeat it for several.",
)
@option(
    "--model",
    "families",
    type=click.Choice(["ferplus", "nano-ferplus", "fer2013"]),
    multiple=True,
    default_text="none",
    help="A bundled model, in FP16; fer2013 in INT8, for --device cpu. Repeat it for several.",
)
@option(
    "--detector-model",
    "detector",
    type=FILE,
    metavar="FILE",
    help="YuNet's .onnx, which boxes then ask for faces: --detector-model triton://HOST:8001/MODEL.",
)
@option("--out", type=FOLDER, metavar="DIR", required=True, help="The model repository; created if absent.")
@option(
    "--max-batch-size",
    type=int,
    metavar="N",
    default_text="a plan's profile; 64 for ONNX",
    help="Largest number of images in a batch.",
)
@option(
    "--preferred-batch-size",
    type=int,
    metavar="N",
    multiple=True,
    default_text="a plan's opt and max; 8 and 32 for ONNX",
    help="A batch of this size runs at once. Repeat it for several.",
)
@option(
    "--max-queue-delay-us",
    type=int,
    metavar="MICROSECONDS",
    default_text="500",
    help="How long a request waits for others.",
)
@option("--device", type=DeviceType(["auto", "cpu", "cuda"]), default_text="auto", help="Where the models run.")
@option("--instances", type=int, metavar="N", default_text="1", help="Copies of each model.")
@option(
    "--warmup",
    type=click.Choice(["zero", "random", "off"]),
    default_text="random",
    help="Images that run before the first request.",
)
@option(
    "--cuda-graphs/--no-cuda-graphs",
    default=None,
    default_text="cuda-graphs",
    help="Replay captured launches of plans.",
)
@shared_flags.config("docs/deploy.md")
def command(**flags: Any) -> None:
    """Write a model repository for Triton Inference Server."""
    body("triton")(**flags)
