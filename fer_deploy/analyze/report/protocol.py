"""Protocol: how a video was analyzed, as text for the methods section of a paper."""

from collections.abc import Mapping
from typing import Any, Final

from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.analyze.report.summary import Summary
from fer_deploy.detectors.config import MIN_SCORE
from fer_deploy.detectors.search import USEFUL_FACE
from fer_deploy.spec import ARTIFACT_METRICS, UNREADABLE, UNSURE, ModelSpec
from fer_deploy.vision import quality
from fer_deploy.vision.tracking.people import DEFAULT_UNSURE_BELOW

FROM_SEGMENTS: Final = "excluded from segments"
FROM_INTERVALS: Final = "excluded from intervals"
"""Names in the summary's inputs of a file of excluded ranges."""
_PEOPLE: Final = "pipeline.people."
_MARKUP: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]<>#|"})


def protocol_text(summary: Summary, spec: ModelSpec) -> str:
    """Return Markdown: a paragraph on the method, the model's measured accuracy, and tables of settings and hashes.

    Args:
        summary: of the finished analysis.
        spec: of the model that the video was analyzed with.
    """
    parts = [
        f"# Protocol: {_text(summary.name)}",
        _method(summary, spec),
        _exclusions(summary),
        "The labels describe facial expressions as raters named them in still pictures, not what a person feels.",
        "## Accuracy of the model",
        _accuracy(spec),
        "## Settings",
        _table(("setting", "value"), _effective(summary, spec)),
        "## Software",
        _table(("package", "version"), {"fer-deploy": summary.fingerprint.version, **summary.software}),
        "## Files",
        _table(("file", "SHA-256"), _digests(summary)),
    ]
    return "\n\n".join(parts) + "\n"


def _method(summary: Summary, spec: ModelSpec) -> str:
    settings = summary.fingerprint.settings
    limit = settings.get(f"{_PEOPLE}unsure_below") or spec.unsure_below or DEFAULT_UNSURE_BELOW
    every = settings.get("pipeline.detect_every")
    searched = "each of them" if every in (1, "auto", None) else f"one of {every} of them"
    print_of = summary.fingerprint
    sentences = [
        f"{_extent(summary)} was analyzed with fer-deploy {print_of.version} (run {print_of.run}).",
        f"{_sampling(summary)}; faces were detected in {searched} ({_text(summary.detector or 'detector unknown')}).",
        f"Each face was classified by {_text(spec.name)} ({_text(summary.engine)}) into {len(spec.labels)} labels: "
        f"{_text(', '.join(spec.labels))}.",
        f"Probabilities are softmax(logits / {spec.temperature:g}).",
        *_smoothing(settings),
        f'A label was shown as "{UNSURE}" where its smoothed probability was below {limit:g}.',
        *_corrections(settings),
    ]
    return " ".join(sentences)


def _extent(summary: Summary) -> str:
    picture = f"{summary.picture_size[0]} x {summary.picture_size[1]} pixels, {summary.fps:g} frames/s"
    if all(summary.fingerprint.settings.get(name) is None for name in ("start", "end")):
        return f"The video ({summary.duration_s:.2f} s, {picture})"
    return f"The part of the video from {summary.start_s:.2f} s to {summary.duration_s:.2f} s ({picture})"


def _sampling(summary: Summary) -> str:
    num, fps = summary.accounting.num_analyzed, summary.fingerprint.settings.get("sample_fps")
    if fps is None:
        return f"All {num:,} frames that could be decoded were analyzed"
    num_read = summary.accounting.num_decoded - summary.accounting.num_skipped
    return (
        f"{num:,} of its {num_read:,} frames were analyzed, {fps:g} of each second, and each counts for the time until "
        "the next one"
    )


def _effective(summary: Summary, spec: ModelSpec) -> dict[str, Any]:
    """Return the settings, with the values that apply where none was given."""
    settings = dict(summary.fingerprint.settings)
    defaults = {
        f"{_PEOPLE}unsure_below": spec.unsure_below or DEFAULT_UNSURE_BELOW,
        "detection.min_score": MIN_SCORE if summary.detector.startswith("YuNet") else None,
        "detection.min_face": f"about {USEFUL_FACE} pixels, in large frames 5 % of the shorter side",
    }
    for name, value in defaults.items():
        if name in settings and settings[name] is None and value is not None:
            settings[name] = f"{value} (default)"
    return settings


def _smoothing(settings: Mapping[str, Any]) -> list[str]:
    seconds, lead = settings.get(f"{_PEOPLE}smoothing_s"), settings.get(f"{_PEOPLE}hysteresis")
    keep_s = settings.get(f"{_PEOPLE}keep_s")
    if None in (seconds, lead, keep_s):
        return []
    smoothed = f"averaged over time with a time constant of {seconds:g} s" if seconds else "not averaged over time"
    return [
        f"Faces were followed from frame to frame; a face unseen for more than {keep_s:g} s counts as another person.",
        f"The probabilities of each person were {smoothed}, and the shown label changed only when another one led by "
        f"{lead:g}.",
    ]


def _corrections(settings: Mapping[str, Any]) -> list[str]:
    baseline, share = (settings.get(f"{_PEOPLE}{name}") for name in ("baseline", "neutral_share"))
    found = []
    if baseline:
        cap = settings.get(f"{_PEOPLE}baseline_cap", 0)
        found.append(
            f"The logits were corrected by each person's resting face ({_text(baseline)}), by {cap:g} at most."
        )
    if share:
        found.append(f"The probabilities were corrected for a share of neutral faces of {share:g}.")
    return found or ["No baseline was subtracted."]


def _exclusions(summary: Summary) -> str:
    counts, brief = summary.accounting, summary.passers_by
    num_faces = sum(person.num_faces for person in summary.people)
    sentences = [
        f"{counts.num_skipped:,} corrupt frames were left out; {counts.num_missing:,} announced frames were missing.",
        f"Faces were found in {counts.num_with_faces:,} frames. {num_faces:,} faces of "
        f"{count_text(len(summary.people), 'person', 'people')} are in the results.",
        f"{brief.num_tracks:,} tracks shorter than {brief.below_s:g} s ({brief.num_faces:,} faces) were left out.",
        *_people_by_hand(summary),
        *_ranges_by_hand(summary),
        *(f"{_text(note)}." for note in summary.event_notes),
    ]
    if not num_faces:
        return " ".join(sentences)
    shares = {name: _share(summary, name) for name in (UNREADABLE, UNSURE)}
    if not summary.fingerprint.settings.get(f"{_PEOPLE}hide_unreadable", True):
        sentences.append("Faces with quality flags were not excluded.")
    else:
        sentences.append(
            f"{shares[UNREADABLE]:.1%} of the time in which people were visible was excluded as {UNREADABLE}: smaller "
            f"than {quality.SMALLEST_FACE_PX:g} pixels, sharpness below {quality.LEAST_SHARPNESS:g}, "
            f"brightness outside of {quality.BRIGHTNESS[0]:g} to {quality.BRIGHTNESS[1]:g} or "
            f"contrast below {quality.LEAST_CONTRAST:g} gray levels, grain above {quality.MOST_GRAIN:g}, "
            f"yaw beyond {quality.MOST_YAW_DEG:g}°, pitch outside of {quality.PITCH_DEG[0]:g}° to "
            f"{quality.PITCH_DEG[1]:g}°, roll beyond {quality.MOST_ROLL_DEG:g}°, cut off by the frame, or implausible "
            "landmarks, in most of the last moments."
        )
    sentences.append(f"{shares[UNSURE]:.1%} of the time was {UNSURE}.")
    flags = {name for person in summary.people for name in person.flags}
    told = [f"{name} {_share(summary, name):.1%}" for name in sorted(flags)]
    return " ".join([*sentences, *([f"Share of this time with each flag: {_text(', '.join(told))}."] if told else [])])


def _people_by_hand(summary: Summary) -> list[str]:
    """Say what people.csv changed."""
    num_merged = sum(len(person.tracks) for person in summary.people if len(person.tracks) > 1)
    found = [f"{num_merged} tracks were merged by hand into people."] if num_merged else []
    if summary.num_faces_dropped:
        found.append(f"{summary.num_faces_dropped:,} faces of people who were dropped by hand were left out.")
    return found


def _ranges_by_hand(summary: Summary) -> list[str]:
    """Say which file of excluded ranges was used."""
    names = {kind: name for kind, _, name in (text.partition(": ") for text in summary.inputs)}
    used = {"segments": names.get(FROM_SEGMENTS), "intervals": names.get(FROM_INTERVALS)}
    where = {name: [what for what, known in used.items() if known == name] for name in used.values() if name}
    found = [
        f"By hand, the ranges of {_text(name)} were left out of the {' and '.join(where[name])}." for name in where
    ]
    seconds = ["The column excluded_s of the segments has their seconds for each person and event."]
    return found + (seconds if used["segments"] else [])


def _share(summary: Summary, label: str) -> float:
    """Return the share of the time of all people for a shown label or a flag, whose names differ."""
    visible_s = sum(person.visible_s for person in summary.people)
    shares = (person.shares.get(label, person.flags.get(label, 0.0)) * person.visible_s for person in summary.people)
    return sum(shares) / visible_s if visible_s else 0.0


def _accuracy(spec: ModelSpec) -> str:
    """Return the figures in the ModelSpec: of the file itself, and of the checkpoint that it was made from."""
    found = spec.metrics.get(ARTIFACT_METRICS)
    checkpoint = spec.metrics.get("checkpoint", spec.metrics if found is None else {})
    lines = []
    if isinstance(found, dict) and "accuracy" in found:
        measured_on = f"{found.get('num_faces', '?'):,} faces of {found.get('faces', 'unknown origin')}"
        lines.append(
            f"This file ({_text(found.get('engine', 'engine unknown'))}) on {_text(measured_on)}: {_figures(found)}."
        )
    for split, views in checkpoint.items() if isinstance(checkpoint, dict) else ():
        plain = views.get("plain") if isinstance(views, dict) else None
        if isinstance(plain, dict) and "accuracy" in plain:
            lines.append(
                f"Its checkpoint on {_text(split)} ({plain.get('num_faces', '?'):,} faces): {_figures(plain)}."
            )
    return "\n\n".join(lines) or "The ModelSpec has no measured accuracy. Measure the model before you publish results."


def _figures(found: Mapping[str, Any]) -> str:
    interval = found.get("accuracy_interval")
    between = f" (95 % interval {interval[0]:.1%} to {interval[1]:.1%})" if interval else ""
    figures = [f"accuracy {found['accuracy']:.1%}{between}"]
    figures += [f"macro-F1 {found['f1']:.3f}"] if "f1" in found else []
    recall = found.get("recall")
    if isinstance(recall, dict):
        figures.append("recall " + ", ".join(f"{_text(label)} {value:.0%}" for label, value in recall.items()))
    return "; ".join(figures)


def _digests(summary: Summary) -> dict[str, str]:
    print_of = summary.fingerprint
    video = f"{summary.name} (size in bytes : SHA-256 of its first and last MiB)"
    known = {video: print_of.video, "model": print_of.engine, "detector": print_of.detector or "none"}
    return {**known, **summary.inputs, **summary.tables}


def _table(header: tuple[str, str], rows: Mapping[str, Any]) -> str:
    lines = [f"| {header[0]} | {header[1]} |", "|---|---|"]
    return "\n".join(
        [*lines, *(f"| {_text(name)} | {_text('unset' if value is None else value)} |" for name, value in rows.items())]
    )


def _text(value: Any) -> str:
    """Return a value of others as text without markup, on one line."""
    return " ".join(str(value).split()).translate(_MARKUP)
