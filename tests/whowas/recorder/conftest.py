"""Fixtures of the recorder's tests."""

from support.recorder.fixtures import cluster, kubeconfig

__all__ = ["cluster", "kubeconfig"]
