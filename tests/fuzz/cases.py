"""One number names one case: which file, which wounds. The same number and seed give the same bytes on any machine."""

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzz.byte_mutations import mutate_bytes
from fuzz.json_mutations import mutate_json
from fuzz.onnx_mutations import mutate_network
from fuzz.safetensors_mutations import mutate_safetensors
from fuzz.seed_files import BARE_NETWORK, MANIFEST, NETWORK_MANIFEST, NETWORKS, PLAN, RELEASE, STATE

KINDS = (
    *("onnx",) * 5,
    *("checkpoint",) * 3,
    *("manifest",) * 2,
    "state",
    *("network",) * 2,
    "network_manifest",
)


@dataclass(frozen=True)
class Case:
    """Files by name; the one that is opened comes first."""

    kind: str
    files: dict[str, bytes]

    def write(self, folder: Path) -> Path:
        """Write the files and return the one to open."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder / next(iter(self.files))


def sound_cases() -> list[Case]:
    """What every case was before it was wounded."""
    return [
        *(Case("onnx", {"case.onnx": model.SerializeToString()}) for model in NETWORKS),
        Case("checkpoint", {"case.safetensors": RELEASE}),
        Case("manifest", {"case.plan": PLAN, "case.plan.json": MANIFEST.encode()}),
        Case("state", {"case.pt": STATE}),
        Case("network", {"case.onnx": BARE_NETWORK.SerializeToString()}),
        Case("network_manifest", {"case.plan": PLAN, "case.plan.json": NETWORK_MANIFEST.encode()}),
    ]


def make_case(seed: int, number: int) -> Case:
    """Return case `number` of the corpus that `seed` gives."""
    rng = Random(f"{seed}:{number}")
    match kind := KINDS[number % len(KINDS)]:
        case "onnx":
            return Case(kind, {"case.onnx": mutate_network(rng, rng.choice(NETWORKS))})
        case "checkpoint":
            return Case(kind, {"case.safetensors": mutate_safetensors(rng, RELEASE)})
        case "manifest":
            plan, manifest = PLAN, _manifest(rng, MANIFEST, "spec")
            if rng.random() < 0.15:
                plan, manifest = mutate_bytes(rng, PLAN), MANIFEST.encode()
            return Case(kind, {"case.plan": plan, "case.plan.json": manifest})
        case "network":
            return Case(kind, {"case.onnx": mutate_network(rng, BARE_NETWORK)})
        case "network_manifest":
            manifest = _manifest(rng, NETWORK_MANIFEST, "network")
            return Case(kind, {"case.plan": PLAN, "case.plan.json": manifest})
        case _:
            return Case(kind, {"case.pt": mutate_bytes(rng, STATE)})


def _manifest(rng: Random, sound: str, contract: str) -> bytes:
    if rng.random() < 0.25:
        return mutate_bytes(rng, sound.encode())
    if rng.random() < 0.3:  # a wound inside of the contract, which a wound anywhere seldom meets
        tree = json.loads(sound)
        inner, tree[contract] = json.dumps(tree[contract]), "@@contract@@"
        text = json.dumps(tree).replace('"@@contract@@"', mutate_json(rng, inner))
        return text.encode("utf-8", "surrogatepass")
    return mutate_json(rng, sound).encode("utf-8", "surrogatepass")
