"""Analyze one video in seven ways, with and without Ray, and say what limits 10,000 hours on 1,000 cores.

The clips are repeated into a video of some minutes. Each way is measured as a command: sequential analyze, analyze
--jobs 2, archive run, archive run --ray local, and a cluster of three nodes on this machine; then a run that is killed
three times, and a cluster that loses a node. Their rows must be equal.
From CPU time and bytes of the segments, and from the cost of scheduling, a simulation tells what saturates first.

    python benchmarks/archive_scaling.py --clip people.mp4 --minutes 40
    python benchmarks/archive_scaling.py --minutes 1
"""

import tempfile
from pathlib import Path
from typing import Any, Final

import click
import torch
from analyze import write_long
from archives.archive_report import as_markdown
from archives.simulation import Farm, simulate
from archives.ways import Way, analyze_in_all_ways, rows_of_way, segments_of
from harness.apart import run_apart
from harness.clips import clips_option, fps_of
from harness.comparing import Measure
from harness.measuring import environment, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.archive.shard import REMOTE_GROUP

HOURS: Final = 10_000
CORES: Final = (100, 1_000, 10_000)
_LINK_BYTES_S: Final = 10e9 / 8
_REQUESTS: Final = 3
"""To the store for a segment: is it there, was it given up, write it."""
_REQUESTS_S: Final = 3_500
"""Writes that S3 promises per second and prefix; reads are 5,500."""
_LATENCY_S: Final = 0.05
_VIDEO_HOURS: Final = 1.0
_WORKERS_A_BEAT: Final = 100
"""The pool asks so many workers a second, at most."""


def model(segments: list[tuple[int, float, int]], overhead: dict[str, float], video: dict[str, float]) -> list[Any]:
    """Simulate farms of several sizes.

    Args:
        segments: frames, CPU seconds and bytes of each.
        overhead: of scheduling.
        video: its frames per second and bytes per second.
    """
    frames = sum(num for num, _, _ in segments) / len(segments)
    num_segments = round(HOURS * 3600 * video["fps"] / frames)
    compute_s = [cpu_s for _, cpu_s, _ in segments]
    mean_s, rows = sum(compute_s) / len(compute_s), []
    for cores in CORES:
        beats_s = min(cores, _WORKERS_A_BEAT) * overhead["beat_cpu_s"]
        driver_s = overhead["schedule_cpu_s"] / (1 - beats_s)
        farm = Farm(
            num_workers=cores,
            num_segments=num_segments,
            compute_s=compute_s,
            driver_s=driver_s,
            group=REMOTE_GROUP,
            copy_bytes=video["bytes_s"] * 3600 * _VIDEO_HOURS,
            link_bytes_s=_LINK_BYTES_S,
            requests=_REQUESTS,
            requests_s=_REQUESTS_S,
            latency_s=_LATENCY_S,
        )
        limits = {
            "driver": mean_s / driver_s,
            "link": mean_s * REMOTE_GROUP / (farm.copy_bytes / _LINK_BYTES_S),
            "store": mean_s * _REQUESTS_S / _REQUESTS,
        }
        found = {"cores": cores, **simulate(farm)._asdict(), "segments_s": cores / mean_s, "full_at_cores": limits}
        rows.append(found | {"num_segments": num_segments})
    return rows


def _row(way: Way, num_frames: int, first: Way) -> dict[str, Any]:
    return {
        "way": way.name,
        "num_kills": way.num_kills,
        "seconds": way.seconds,
        "frames_s": num_frames / way.seconds,
        "cpu_ms_per_frame": way.cpu_s / num_frames * 1000,
        "cpu_against_first": way.cpu_s / first.cpu_s,
    }


def measures_of(result: Result) -> list[Measure]:
    """Return what --compare compares: the CPU time of each way and of the scheduling; one run tells no noise."""
    ways, overhead = result["ways"], result["overhead"]
    return [
        *(Measure(f"{row['way']}: CPU ms a frame", row["cpu_ms_per_frame"]) for row in ways),
        *(
            Measure(f"{row['way']}: CPU, times the first way", row["cpu_against_first"], is_ratio=True)
            for row in ways[1:]
        ),
        Measure("scheduling: CPU ms a segment", 1e3 * overhead["schedule_cpu_s"]),
        Measure("scheduling: CPU ms a question to a worker", 1e3 * overhead["beat_cpu_s"]),
    ]


def report(result: Result) -> Report:
    """Return what the result file shows."""
    return Report(as_markdown(result), measures_of(result))


@click.command()
@clips_option
@yunet_option
@click.option("--minutes", type=click.FloatRange(min=0.01), default=40.0, show_default=True, help="Of the video.")
@click.option("--segment-frames", type=int, help="Frames of a segment.  [default: as in analyze]")
@click.option("--num-scheduled", default=2000, show_default=True, help="Segments that measure the scheduling.")
@output_options(report)
def main(
    clips: tuple[Path, ...],
    yunet: Path,
    minutes: float,
    segment_frames: int | None,
    num_scheduled: int,
    output: Output,
) -> None:
    """Compare the ways, and simulate the large archive."""
    options = ["--detector", "yunet", "--detector-model", str(yunet)]
    fps = fps_of(clips[0])
    segment_frames = segment_frames or AnalyzeConfig(out=Path()).frames_per_segment
    with tempfile.TemporaryDirectory(prefix="fer-") as name:
        folder = Path(name)
        video, num_frames = folder / "long.mp4", round(minutes * 60 * fps)
        write_long(clips, num_frames, video)
        click.echo(f"{num_frames} frames, {video.stat().st_size / 1e6:.0f} MB", err=True)
        ways = analyze_in_all_ways(video, folder, options, segment_frames=segment_frames)
        rows = [rows_of_way(way, video) for way in ways]
        if not all(other == rows[0] for other in rows):
            raise click.ClickException("the rows differ between the ways")
        segments = segments_of(ways[2])
        request = {"kind": "scheduling", "out": str(ways[3].out), "num": num_scheduled}
        overhead = run_apart("archives.overhead", request)
        about = {"fps": fps, "bytes_s": video.stat().st_size / (num_frames / fps)}
    device = torch.device("cpu")
    result = {
        "environment": environment(device),
        "clips": [clip.name for clip in clips],
        "minutes": minutes,
        "video": about,
        "num_frames": num_frames,
        "num_faces": len(rows[0]["faces"]),
        "ways": [_row(way, num_frames, ways[0]) for way in ways],
        "segments": {
            "num": len(segments),
            "frames": segment_frames,
            "mean_cpu_s": _mean(segments, 1),
            "mean_bytes": _mean(segments, 2),
        },
        "overhead": overhead,
        "model": {
            "hours": HOURS,
            "link_bytes_s": _LINK_BYTES_S,
            "requests_s": _REQUESTS_S,
            "farms": model(segments, overhead, about),
        },
    }
    output.write("archive_scaling", device, result)


def _mean(segments: list[tuple[int, float, int]], place: int) -> float:
    return sum(one[place] for one in segments) / len(segments)


if __name__ == "__main__":
    main()
