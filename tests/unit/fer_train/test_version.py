import importlib.metadata

import fer_deploy
import fer_train


def test_both_packages_carry_the_version_of_the_distribution():
    assert fer_train.__version__ == fer_deploy.__version__ == importlib.metadata.version("fer-toolchain")
