"""The churn score on a real control plane: `python -m bench.real_churn`, see __main__.py."""

import sys
from pathlib import Path

# The control plane and the test kubelet are the tests'.
_TESTS = str(Path(__file__).resolve().parents[2] / "tests")
if _TESTS not in sys.path:
    sys.path.insert(0, _TESTS)
