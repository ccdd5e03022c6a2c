#!/usr/bin/env bash
# The same key goes to one partition through kafka-python and to another through confluent-kafka, both as they come.
#
# Versions: kafka-python 3.0.12, confluent-kafka 2.16.1 (librdkafka); Python 3.11. The broker is librdkafka's own mock of one.
# Guess: with no partitioner chosen both hash a key as Java's client does, so a consumer of one partition, or a compacted topic,
# sees all that is said of a key, whichever client says it.
# Behaviour: kafka-python takes murmur2, confluent-kafka CRC-32. Of four partitions three quarters of the keys change theirs with
# the client: what the first one said of a key is never replaced in a compacted topic. An empty key has one
# partition in kafka-python and a random one in confluent-kafka. With partitioner=murmur2_random both agree, on the empty key too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ python3 -m venv "$work/env" && "$work/env/bin/pip" install -q --disable-pip-version-check \
  kafka-python==3.0.12 confluent-kafka==2.16.1; } || exit 2
cd "$work"
env/bin/python - <<'PY'
import sys

from confluent_kafka import Producer
from kafka.partitioner.default import murmur2

KEYS = [f"pod-{number}".encode() for number in range(400)]
PARTITIONS = 4  # of a topic that librdkafka's mock makes


def through_confluent(keys, **more):
    producer = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1, "log_level": 0, **more})
    found = {}

    def told(error, message):
        assert error is None, error
        found.setdefault(message.key(), set()).add(message.partition())

    for key in keys:
        producer.produce("keys", b"value", key, on_delivery=told)
    assert producer.flush(30) == 0
    return found


def through_kafka_python(keys):
    return {key: {(murmur2(key) & 0x7FFFFFFF) % PARTITIONS} for key in keys}


theirs = through_kafka_python(KEYS)
seen = []
for words, more in (("as it comes", {}), ("murmur2_random", {"partitioner": "murmur2_random"})):
    ours = through_confluent(KEYS, **more)
    elsewhere = sum(ours[key] != theirs[key] for key in KEYS)
    empty = through_confluent([b""] * 400, **more)[b""]
    print(f"confluent-kafka, {words}: {elsewhere} of {len(KEYS)} keys elsewhere; the empty key in partitions {sorted(empty)}, "
          f"in kafka-python in {sorted(through_kafka_python([b''])[b''])}")
    seen.append((elsewhere, len(empty)))
(apart, spread), (agreed, one) = seen
sys.exit(not (250 <= apart <= 350 and spread == PARTITIONS and agreed == 0 and one == 1))
PY
