"""What the cluster said of itself, in files: objects to observations."""

from ingest.cluster.read import EvidenceProgress, EvidenceReport, read_observations

__all__ = ["EvidenceProgress", "EvidenceReport", "read_observations"]
