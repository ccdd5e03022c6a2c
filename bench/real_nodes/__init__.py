"""The score on real nodes (kubelet, containerd, runc, CNI): `python -m bench.real_nodes`, see __main__.py."""

import sys
from pathlib import Path

# The control plane and the building of servers are the tests'.
_TESTS = str(Path(__file__).resolve().parents[2] / "tests")
if _TESTS not in sys.path:
    sys.path.insert(0, _TESTS)
