"""Lets the tests of this room import `written`, which lies beside them, and gives them a control plane."""

from __future__ import annotations

import sys
from pathlib import Path

from servers.fixtures import control_plane, servers_built

sys.path.insert(0, str(Path(__file__).parent))

__all__ = ["control_plane", "servers_built"]
