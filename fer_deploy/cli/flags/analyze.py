"""The flags of fer-deploy analyze."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
from fer_deploy.cli.flags.live import anonymize
from fer_deploy.cli.interface import FILE, FOLDER, Command, option


class JobsType(click.ParamType[Any]):
    """A number of processes, or auto."""

    name = "jobs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an int or "auto"."""
        if str(value).lower() == "auto":
            return "auto"
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of processes nor auto", param, ctx)


sample_fps = option(
    "--sample-fps",
    type=float,
    metavar="F",
    default_text="every frame",
    section="Range",
    help="Analyze so many frames of each second, evenly spread. Not with --detect-every.",
)


@click.command(
    "analyze",
    cls=Command,
    examples=[
        (
            "one recording: results/interview/report.html, tables and the annotated video",
            "fer-deploy analyze interview.mp4 --out results",
        ),
        (
            "many recordings, without annotated videos; results/index.html lists them",
            "fer-deploy analyze *.mp4 --out results --no-video",
        ),
        (
            "what each person showed during each stimulus, and a methods paragraph; of a finished analysis in seconds",
            "fer-deploy analyze interview.mp4 --out results --events events.csv --protocol",
        ),
        (
            "five frames a second of one minute",
            "fer-deploy analyze interview.mp4 --out results --start 1:00 --end 2:00 --sample-fps 5",
        ),
        (
            "name the people of a finished analysis, in seconds",
            "fer-deploy analyze interview.mp4 --out results --people people.csv",
        ),
    ],
)
@click.argument(
    "videos", nargs=-1, required=True, type=shared_flags.VIDEO_PATH, metavar="VIDEO...", help="Recorded videos."
)
@option(
    "--out",
    type=FOLDER,
    metavar="DIR",
    required_text="required, here or in --config",
    section="Output",
    help="Folder for the results. Each video gets a folder of its own name in it.",
)
@option("--video/--no-video", default=None, default_text="video", section="Output", help="Write the annotated video.")
@shared_flags.video_codec("the annotated video")
@anonymize
@option(
    "--thumbnails/--no-thumbnails",
    default=None,
    default_text="as --video",
    section="Output",
    help="Show a picture of each person in the report, covered with --anonymize.",
)
@option(
    "--segment-frames",
    type=int,
    metavar="N",
    default_text="about a thousand",
    section="Output",
    help="Frames between two checkpoints: a multiple of 12 and of --detect-every.",
)
@option(
    "--jobs",
    type=JobsType(),
    metavar="N",
    default_text="1",
    section="Output",
    help="Processes that analyze segments at once; auto: one a core. The results are the same.",
)
@option(
    "--people",
    type=FILE,
    metavar="FILE",
    section="Output",
    help="CSV with person or track, and name or drop. Names, merges and drops the people of finished analyses in "
    "--out: summary, timeline and report are written again in seconds.",
)
@option(
    "--restart",
    is_flag=True,
    section="Output",
    help="Delete what an earlier run left in --out for these videos, and start again.",
)
@option(
    "--start",
    metavar="TIME",
    default_text="the beginning",
    section="Range",
    help="Where the analysis begins: seconds (62.5) or a clock time (1:02.5), from the beginning of the video.",
)
@option("--end", metavar="TIME", default_text="the end", section="Range", help="Where the analysis ends.")
@sample_fps
@option(
    "--events",
    type=FILE,
    metavar="FILE",
    section="Exports",
    help="CSV with start, end or duration, label, in seconds or as 1:02.5: writes segments.csv, .parquet and "
    ".wide.csv, a row for each person and event.",
)
@option(
    "--participants",
    type=FILE,
    metavar="FILE",
    section="Exports",
    help="CSV with video and any others, such as group: they are added to the segments. Needs --events.",
)
@option(
    "--exclude",
    type=FILE,
    metavar="FILE",
    section="Exports",
    help="CSV with start, end or duration, and optionally person and video: these ranges are left out of segments and "
    "intervals. report.html writes such a file.",
)
@option(
    "--intervals",
    is_flag=True,
    section="Exports",
    help="Write when each person showed which emotion: intervals.tsv for BORIS and others, intervals.eaf for ELAN.",
)
@option(
    "--protocol",
    is_flag=True,
    section="Exports",
    help="Write protocol.md: method, accuracy of the model, exclusions, settings, versions and hashes, for a paper.",
)
@shared_flags.engine_options
@shared_flags.analysis_options
@shared_flags.config("docs/analyze.md")
def command(**flags: Any) -> None:
    """Analyze recorded videos: who is visible when, with which emotions.

    A run that was stopped or killed continues where it was: give the same command again.
    """
    body("analyze")(**flags)
