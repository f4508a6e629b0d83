"""Process of `resources.cold_start`: import, load and run one engine, and print the times as JSON."""

import json
import time
from collections.abc import Mapping
from typing import Any


def main(orders: Mapping[str, Any]) -> None:
    """Open the candidate that `Candidate.to_dict` describes and run it once.

    Prints an object with the times of `ColdStart`, or with `error`.
    """
    started = time.perf_counter()
    import numpy as np  # noqa: PLC0415 - the time of the imports is measured

    from fer_deploy.bench.candidates import Candidate  # noqa: PLC0415
    from fer_deploy.bench.machine.resources import rss_bytes  # noqa: PLC0415
    from fer_deploy.errors import FerDeployError  # noqa: PLC0415

    candidate = Candidate.of_dict(orders)
    try:
        candidate.load_runtime()
        imported, import_rss = time.perf_counter(), rss_bytes()
        with candidate.open() as engine:
            loaded, size = time.perf_counter(), engine.spec.input
            engine.infer(np.zeros((1, size.channels, size.height, size.width), dtype=np.uint8))
            ended = time.perf_counter()
    except FerDeployError as err:
        print(json.dumps({"error": str(err)}))  # noqa: T201 - read by the parent
        return
    found = {
        "import_ms": 1e3 * (imported - started),
        "load_ms": 1e3 * (loaded - imported),
        "first_ms": 1e3 * (ended - loaded),
        "import_rss_bytes": import_rss,
        "rss_bytes": rss_bytes(),
    }
    print(json.dumps(found))  # noqa: T201 - as above
