"""The control plane that other tests stand on: it starts, and answers as a real one does."""

from __future__ import annotations

from servers.control_plane import ControlPlane


def test_it_is_the_version_that_is_pinned(control_plane: ControlPlane) -> None:
    assert control_plane.api().get("/version")["gitVersion"] == "v1.36.3"
