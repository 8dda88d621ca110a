"""Exit status 0 where the PyTorch that is installed needs NVIDIA's libraries: PyPI's build for Linux does."""

import sys
from importlib.metadata import requires

sys.exit(0 if any(each.startswith("nvidia") for each in requires("torch") or ()) else 1)
