import sys
from pathlib import Path

# The benchmarks are scripts that import each other as such; no package.
sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
