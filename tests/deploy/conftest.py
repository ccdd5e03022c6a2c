"""A real control plane, and a kubeconfig with the rights of deploy/."""

from support.recorder.fixtures import cluster, kubeconfig

__all__ = ["cluster", "kubeconfig"]
