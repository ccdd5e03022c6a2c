"""Evidence through a Kafka topic: a recorder's store tells it, any number of replicas are filled by it."""

from whowas.evidence_topic.publisher import Publisher
from whowas.evidence_topic.replica import Replica
from whowas.evidence_topic.settings import TopicSettings
from whowas.evidence_topic.vitals import PublisherVitals, ReplicaVitals

__all__ = ["Publisher", "PublisherVitals", "Replica", "ReplicaVitals", "TopicSettings"]
