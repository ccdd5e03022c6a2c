"""Evidence through a Kafka topic: a recorder's store tells it, any number of replicas are filled by it."""

from whowas.evidence_topic.publisher import Publisher, PublisherVitals
from whowas.evidence_topic.replica import Replica, ReplicaVitals
from whowas.evidence_topic.settings import TopicSettings

__all__ = ["Publisher", "PublisherVitals", "Replica", "ReplicaVitals", "TopicSettings"]
