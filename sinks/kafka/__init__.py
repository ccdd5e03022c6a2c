"""Writes to Kafka topics through either client."""
