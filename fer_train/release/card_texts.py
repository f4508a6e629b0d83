"""Sentences of the model card that are the same for every release."""

USE = """## Intended use

Research, demonstrations, and as a baseline for work on FER2013. **Not** for decisions about people: an expression is
not a feeling, the faces were collected from the web by keyword, many of them posed, and bias by age, gender or skin
color was not measured."""

LICENCE = """## Licence

The code and these weights: MIT. FER2013's images have no clear licence: they were collected from the web for a research
challenge (Goodfellow et al. 2013, arXiv 1307.0414). Use them for research, and decide for yourself whether your use
allows weights that were trained on them."""

READING = """- *official*: every face of the split. *clean*: without the faces whose pixels also appear in Training.
- *plain*: the unchanged face. *flip*: mean over the face and its mirror image. *tencrop*: mean over ten crops. Means
  are over logits.
- Brackets: 95 % interval of the bootstrap over faces; it does not include the variation between seeds.
- F1, precision and recall: macro averages. Loss: cross-entropy in nats. ECE over 15 bins of confidence, 0 to 1; Brier
  score over all classes, 0 to 2. For these three, lower is better."""

FAMILY = {
    "fer2013": (
        "FER2013's labels",
        "It predicts FER2013's labels: the family for the benchmark. On real pictures it calls many calm faces sad or "
        "angry, because those labels do.",
    ),
    "ferplus": (
        "FER+'s votes",
        "It predicts the votes of FER+'s ten taggers: the family for real pictures. Against FER2013's own labels "
        "it looks worse than it is: they agree with the taggers' majority for 67 % of the faces.",
    ),
}

OTHER_ECE = (
    "The ECE of the table above is higher, because there the majority is the whole truth: where seven of ten taggers "
    "agree, a confidence of 0.7 is right about the taggers, and too low about the majority."
)
HIGHER_ECE = "The fit lowers the NLL alone; ECE is higher after it."
