"""What the cluster said of itself, in files: objects to observations."""

from ingest.cluster.evidence.lines import EvidenceReport
from ingest.cluster.evidence.reader import EvidenceProgress, in_order, read_observations, together

__all__ = ["EvidenceProgress", "EvidenceReport", "in_order", "read_observations", "together"]
