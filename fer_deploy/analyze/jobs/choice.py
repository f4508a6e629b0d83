"""num_jobs: how many worker processes an analysis uses."""

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.engines.base import Engine
from fer_deploy.engines.threads import available_cores


def num_jobs(config: AnalyzeConfig, engine: Engine) -> tuple[int, str]:
    """Return the number of worker processes, and why it is not the wanted one, as text; 1 means none.

    Args:
        config: settings.
        engine: opened.
    """
    wanted = available_cores() if config.jobs == "auto" else config.jobs
    if wanted == 1:
        return 1, ""
    if config.pipeline.detect_every not in (1, "auto"):  # only with auto; a number is refused by the settings
        return 1, "--jobs auto is 1 with --detect-every: faces between two runs of the detector depend on frames before"
    if not engine.is_concurrent:
        return 1, f"--jobs {config.jobs} has no effect: {engine.description} is a GPU, which one process uses best"
    return wanted, ""
