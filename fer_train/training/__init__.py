"""Train a model from a config to checkpoints, once or several times, and write the logs of a run."""
