"""What the commands print: progress, results, log messages."""
