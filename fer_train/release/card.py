"""Write the model card of a release: Markdown generated from its ModelSpec; no number is typed by hand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_train.data.faces import LABELS_IN_WORDS, has_classes_of, labels_in_words, own_label_set
from fer_train.errors import ConfigError
from fer_train.evaluation.second_opinion import SecondOpinion
from fer_train.files.durable import write_content
from fer_train.release.card_texts import FAMILY, HIGHER_ECE, LICENCE, OTHER_ECE, READING, USE
from fer_train.release.origin import describe_data, describe_provenance, describe_recipe, retrain_commands

MARKER = "<!-- Made by fer-train release; the next release overwrites it. Put your own text into --notes FILE. -->"
"""First line of a card; a file without it was written by a person and is not overwritten."""
_MARKER_LENGTH = len("<!-- Made by fer-train release")
"""Length of the text that cards of all versions begin with."""
NUM_CONFUSIONS = 5


@dataclass(frozen=True)
class WeightsFile:
    """What the card says about the file itself; `dtype` is the name of the weights' type."""

    name: str
    num_parameters: int
    num_bytes: int
    dtype: str


def check_card_path(path: Path, weights: Path) -> None:
    """Check that the card overwrites neither the weights nor a text that a person wrote.

    Raises:
        ConfigError: it would overwrite one of them.
    """
    if path == weights:
        raise ConfigError(f"the model card would overwrite {weights}. Fix: --out NAME.safetensors")
    if path.exists() and not path.read_text(errors="replace").startswith(MARKER[:_MARKER_LENGTH]):
        raise ConfigError(
            f"{path} has the name of the model card but was not written by fer-train release. "
            "Fix: move it away; text to keep goes into --notes FILE"
        )


def write_card(path: Path, spec: dict[str, Any], weights: WeightsFile, *, notes: str = "") -> None:
    """Write a release's model card.

    Args:
        path: the .md file.
        spec: the ModelSpec; `metrics` holds the result of `Evaluation.for_spec` for each split, `provenance` that of
            `describe_model`, with `measured_on`, `data_rows` and `num_twins` if release added them.
        weights: the file that the card describes.
        notes: Markdown that a person wrote, copied unchanged into the section "Notes".

    Raises:
        CheckpointError: the file cannot be written.
    """
    origin = spec["provenance"]
    release = f"{'' if weights.dtype == 'float16' else '--fp32 '}--out {weights.name}"
    sections = [
        _head(spec, weights),
        _measures(spec),
        _calibration(spec),
        _degraded(path, spec),
        _per_class(spec),
        _failures(spec),
        describe_data(origin),
        describe_recipe(path.stem, origin),
        describe_provenance(path.stem, origin),
        retrain_commands(path.stem, origin, release=release),
        [USE],
        [LICENCE],
        [f"## Notes\n\n{notes.strip()}"] if notes.strip() else [],
    ]
    text = "\n\n".join(block for section in sections for block in section) + "\n"
    write_content(path, text)


def degraded_picture(card: Path) -> Path:
    """Return the path of the plot of accuracy on degraded faces, beside the card."""
    return card.with_name(f"{card.stem}-degraded.png")


def _family(spec: dict[str, Any]) -> tuple[str, str]:
    own = own_label_set(spec)
    known = has_classes_of(own, spec["labels"])
    return FAMILY[own] if known else ("classes of its own", "It predicts the classes of its training data.")


def _head(spec: dict[str, Any], weights: WeightsFile) -> list[str]:
    wanted, labels = spec["input"], ", ".join(spec["labels"])
    family, meaning = _family(spec)
    return [
        MARKER,
        f"# {Path(weights.name).stem}: emotions of faces, {family}",
        f"{meaning} Architecture: {spec['architecture']}.",
        f"`{weights.name}`: {weights.num_parameters / 1e6:.2f} M parameters, {weights.num_bytes / 1e6:.2f} MB, "
        f"{weights.dtype}. Input `{wanted['name']}`: (N, {wanted['channels']}, {wanted['height']}, {wanted['width']}) "
        f"{wanted['dtype']}, {wanted['color']}, normalized by mean {wanted['mean']} and standard deviation "
        f"{wanted['std']}. Output: logits of {len(spec['labels'])} classes: {labels}.",
    ]


def _measures(spec: dict[str, Any]) -> list[str]:
    blocks = [f"## Measures, against {labels_in_words(own_label_set(spec), spec['labels'])}"]
    for split, by_view in spec["metrics"].items():
        rows = [
            "| split | view | protocol | faces | accuracy | macro F1 | precision | recall | loss | ECE | Brier |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for view, official in by_view.items():
            rows.append(_measures_row(split, view, "official", official))
            if "clean" in official:
                rows.append(_measures_row(split, view, "clean", official["clean"]))
        blocks += ["\n".join(rows), _role(split, by_view, spec["provenance"])]
        blocks += _votes(split, by_view)
        opinion = spec["provenance"].get("second_opinion", {}).get(split)
        if opinion is not None:
            said = SecondOpinion(**opinion).in_words
            blocks.append(f"The labels of {split} by the votes of FER+'s taggers, plain view: {said}.")
    for split, other in spec["provenance"].get("other_labels", {}).items():
        low, high = (100 * bound for bound in other["accuracy_interval"])
        blocks.append(
            f"Against {LABELS_IN_WORDS[other['label_set']]}: {split}, plain, official, {other['num_faces']:,} faces: "
            f"**{other['accuracy']:.2%}** [{low:.1f}, {high:.1f}], macro F1 {other['f1']:.4f}."
        )
    return [*blocks, READING]


def _votes(split: str, by_view: dict[str, Any]) -> list[str]:
    fit = by_view.get("plain", {}).get("votes")
    if fit is None:
        return []
    return [
        f"Votes of {fit['num_faces']:,} faces of {split}: KL from the votes to the model {fit['kl']:.3f} nats; one "
        f"tagger agrees with the model in {fit['agreement']:.1%}, with the taggers' first choice in "
        f"{fit['best_agreement']:.1%}."
    ]


def _table_ece(spec: dict[str, Any], split: str) -> float:
    """Return the calibration error of the table of measures; 0 where that split is not in it."""
    ece: float = spec["metrics"].get(split, {}).get("plain", {}).get("ece", 0.0)
    return ece


def _calibration(spec: dict[str, Any]) -> list[str]:
    found = spec["provenance"].get("calibration")
    if found is None:
        return []
    against = {"fer2013": "the label", "ferplus": "the share of taggers who chose each class"}[found["against"]]
    more = (
        [OTHER_ECE] if found["against"] == "ferplus" and _table_ece(spec, found["split"]) > found["ece_after"] else []
    )
    more += [HIGHER_ECE] if found["ece_after"] > found["ece_before"] else []
    return [
        "## Confidence",
        f"Probabilities are softmax(logits / {found['temperature']:.3f}). The temperature was fitted on "
        f"{found['num_faces']:,} faces of {found['split']} against {against}, so these figures are slightly too good: "
        f"NLL {found['nll_before']:.4f} before, {found['nll_after']:.4f} after; ECE {found['ece_before']:.4f} before, "
        f"{found['ece_after']:.4f} after. Below a confidence of {found['unsure_below']:.2f} the prediction is right in "
        'fewer than half of the cases: live and analyze show "unsure" there.',
        *more,
    ]


def _degraded(card: Path, spec: dict[str, Any]) -> list[str]:
    found, labels = spec["provenance"].get("degraded"), spec["labels"]
    if found is None:
        return []
    rows = {(row["what"], row["amount"]): row["accuracy"] for row in found["rows"]}
    soft = next(accuracy for (what, _), accuracy in rows.items() if what == "dim and soft")
    return [
        "## Degraded faces",
        f"Accuracy on {found['split']} against {labels_in_words(found['label_set'], labels)}, plain: clean "
        f"{rows['clean', 0.0]:.1%}; dim and soft (blur of sigma 1.2, then a pixel deviation of 25, as in crops from "
        f"video) **{soft:.1%}**.",
        "Each point of the curves is measured on at most 1,000 faces, evenly spread.",
        f"![Accuracy against blur, contrast, size and tilt]({degraded_picture(card).name})",
    ]


def _measures_row(split: str, view: str, protocol: str, m: dict[str, Any]) -> str:
    low, high = (100 * bound for bound in m["accuracy_interval"])
    f1_low, f1_high = m["f1_interval"]
    return (
        f"| {split} | {view} | {protocol} | {m['num_faces']:,} | **{m['accuracy']:.2%}** [{low:.1f}, {high:.1f}] "
        f"| {m['f1']:.4f} [{f1_low:.3f}, {f1_high:.3f}] | {m['precision']:.4f} | {m['recall']:.4f} "
        f"| {m['loss']:.4f} | {m['ece']:.4f} | {m['brier']:.4f} |"
    )


def _role(split: str, by_view: dict[str, Any], provenance: dict[str, Any]) -> str:
    """Return the role of a split: whether it chose the model, and how many of its faces have a twin in training."""
    config = provenance["config"]
    official = next(iter(by_view.values()))
    if split == config["validation_split"]:
        did = "helped to choose the recipe" if _is_last_epoch(provenance) else "chose the epoch"
        if provenance.get("soup", {}).get("chosen_on") is not None:
            did = "chose epochs and the models averaged"
        role = f"{split} {did} and was the validation split: its figures are slightly too good."
    else:
        role = f"{split} chose neither weights nor epoch of this run."
    if "clean" not in official:
        return f"{role} The clean protocol could not be measured on this data."
    num_twins = official["num_faces"] - official["clean"]["num_faces"]
    if num_twins == 0:
        return f"{role} None of its faces has a twin in {config['train_split']}."
    right = _num_right(official) - _num_right(official["clean"])
    seen = {
        "clean": "these weights were trained without those twins (clean protocol), so official is not inflated by them",
        "official": "these weights were trained with those twins (official protocol), so official is inflated by them",
    }
    return (
        f"{role} {num_twins:,} of its faces have a twin in {config['train_split']}, and accuracy on these alone is "
        f"{right / num_twins:.1%} ({next(iter(by_view))}); {seen[config['protocol']]}."
    )


def _is_last_epoch(provenance: dict[str, Any]) -> bool:
    """Whether the weights are those of a run's last epoch, or a mean of such weights."""
    steps = [member["provenance"] for member in provenance.get("soup", {}).get("ingredients", [])] or [provenance]
    return all(step.get("kept") == "final" for step in steps)


def _num_right(metrics: dict[str, Any]) -> int:
    return sum(int(row[label]) for label, row in enumerate(metrics["confusion"]))


def _per_class(spec: dict[str, Any]) -> list[str]:
    blocks = []
    for split, by_view in spec["metrics"].items():
        rows = ["| class | precision | recall | F1 | faces |", "|---|---|---|---|---|"]
        for name, m in by_view["plain"]["per_class"].items():
            rows.append(f"| {name} | {m['precision']:.3f} | {m['recall']:.3f} | {m['f1']:.3f} | {m['support']:,.0f} |")
        blocks += [f"## By class: {split}, plain, official", "\n".join(rows)]
    return blocks


def _failures(spec: dict[str, Any]) -> list[str]:
    split, by_view = next(iter(spec["metrics"].items()))
    plain, labels = by_view["plain"], spec["labels"]
    confusion = plain["confusion"]
    faces = [sum(row) for row in confusion]
    lines = [
        f"- {labels[t]} is mistaken for {labels[p]} in {_share(confusion, t, p):.0%} of its {faces[t]:,} faces."
        for t, p in _top_confusions(confusion)
    ]
    if {"fear", "surprise"} <= set(labels):
        fear, surprise = labels.index("fear"), labels.index("surprise")
        there, back = _share(confusion, fear, surprise), _share(confusion, surprise, fear)
        lines.append(
            f"- Fear and surprise share wide eyes and an open mouth: fear is mistaken for surprise in {there:.0%}, "
            f"surprise for fear in {back:.0%}."
        )
    if "disgust" in labels:
        lines.append(
            f"- Disgust has {faces[labels.index('disgust')]:,} of the {plain['num_faces']:,} faces: its row is "
            "uncertain, but it has the same weight in macro F1 as any other class."
        )
    lines.append(
        "- FER2013's labels are noisy: ten taggers for each face (FER+, Barsoum et al. 2016, arXiv 1608.01041) often "
        "disagree with them; a right prediction then counts as wrong."
        if own_label_set(spec) == "fer2013"
        else "- FER+'s taggers saw the same small gray pictures: they agree on how a face looks, not on what a "
        "person feels."
    )
    return [f"## Known failures ({split}, plain, official)", "\n".join(lines)]


def _top_confusions(confusion: list[list[int]]) -> list[tuple[int, int]]:
    """Return (true, predicted) of the mistakes with the largest shares of their true class, the largest first."""
    pairs = [(t, p) for t, row in enumerate(confusion) for p, count in enumerate(row) if t != p and count]
    return sorted(pairs, key=lambda pair: -_share(confusion, *pair))[:NUM_CONFUSIONS]


def _share(confusion: list[list[int]], true: int, predicted: int) -> float:
    return confusion[true][predicted] / max(sum(confusion[true]), 1)
