import os
import subprocess
import sys

from fer_train.privacy import telemetry

PROGRAM = """
import os, sys
import fer_train.cli
assert "onnxruntime" not in sys.modules
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""


def test_the_package_switches_it_off_for_itself_and_its_children():
    environment = {**os.environ, telemetry.VARIABLE: "0"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]
