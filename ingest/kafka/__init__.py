"""Reads partitions of Kafka topics through either client."""
