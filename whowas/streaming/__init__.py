"""Flow records from Kafka, named as the history grows, to Parquet and Kafka: nothing lost, nothing doubled."""

from whowas.streaming.vitals import LagVitals, StreamVitals
from whowas.streaming.worker import Worker

__all__ = ["LagVitals", "StreamVitals", "Worker"]
