"""A real Kafka broker on 127.0.0.1 (one node, KRaft), with ports and data of its own, gone when the test is.

    with Broker() as broker:
        broker.create("flows", partitions=3)
        broker.server.kill()
        broker.server.start()

Fetch it first: `make servers`.
"""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from types import TracebackType

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from support.servers.build_kafka import built
from support.servers.certificates import Authority
from support.servers.process import Server, free_port

USER, PASSWORD = "whowas", "right-password"
MECHANISM = "SCRAM-SHA-512"
# What a broker answers of a group before it has read what it had committed: right after a start.
NO_COORDINATOR_YET = (
    KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)  # fmt: skip


class Broker:
    """One broker with two doors: `plain`, and `secure` (TLS and SASL/SCRAM). Use it as a context manager."""

    def __init__(self) -> None:
        jars = built()
        assert jars is not None, "Kafka is not fetched: run make servers"
        self.folder = Path(tempfile.mkdtemp(prefix="whowas-kafka-"))
        self._ports = {name: free_port() for name in ("PLAIN", "SECURE", "CONTROLLER")}
        self.plain, self.secure = (f"127.0.0.1:{self._ports[door]}" for door in ("PLAIN", "SECURE"))
        self.authority = Authority(self.folder / "certificates")
        self._config = self.folder / "server.properties"
        self._config.write_text("".join(f"{key}={value}\n" for key, value in self._properties().items()))
        self._java = ["java", "-cp", f"{jars}/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        start = [*self._java, "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command = [*start, "kafka.Kafka", str(self._config)]
        self.server = Server("kafka", command, self.folder / "kafka.log", self._answers)

    def _properties(self) -> dict[str, str]:
        certificate, key = self.authority.issue("broker", alternative="IP:127.0.0.1,DNS:localhost")
        store = self.folder / "broker-store.pem"
        store.write_text(key.read_text() + certificate.read_text())
        doors = {name: f"{name}://127.0.0.1:{port}" for name, port in self._ports.items()}
        scram = f"listener.name.secure.{MECHANISM.lower()}.sasl.jaas.config"
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._ports['CONTROLLER']}",
            "listeners": ",".join(doors.values()),
            "advertised.listeners": f"{doors['PLAIN']},{doors['SECURE']}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAIN",
            "listener.security.protocol.map": "PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
            "sasl.enabled.mechanisms": MECHANISM,
            scram: "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "3",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "3",
            "group.initial.rebalance.delay.ms": "0",
            # Who comes through the plain door may do all; USER may do what nobody has made a rule about.
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "true",
            # Workers that are killed are given up after this, not after many seconds.
            "group.min.session.timeout.ms": "1000",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
        }

    def __enter__(self) -> Broker:
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        user = f"{MECHANISM}=[name={USER},password={PASSWORD}]"
        tool = [*self._java, "kafka.tools.StorageTool", "format", "-t", name, "-c", str(self._config)]
        done = subprocess.run([*tool, "--add-scram", user], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        self.server.start(60)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        """Whether it lists topics: an open port alone is too early."""
        try:
            socket.create_connection(("127.0.0.1", self._ports["PLAIN"]), 0.2).close()
            return bool(self.admin().list_topics(timeout=2).brokers)
        except (OSError, KafkaException):
            return False

    def admin(self) -> AdminClient:
        """A client that may do everything."""
        return AdminClient({"bootstrap.servers": self.plain, "log_level": 0})

    def create(self, topic: str, partitions: int = 1, **config: str) -> str:
        """Make a topic and return its name."""
        admin = self.admin()  # which must outlive its answers
        admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(20)
        return topic

    def grow(self, topic: str, partitions: int) -> None:
        """Give a topic more partitions."""
        admin = self.admin()
        admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(20)

    def allow(self, topic: str, *operations: AclOperation) -> str:
        """Let USER do these things with a topic, and nothing else; return its name."""
        admin = self.admin()
        of = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{USER}", "*")
        rules = [AclBinding(*of, one, AclPermissionType.ALLOW) for one in operations]
        for done in admin.create_acls(rules).values():
            done.result(20)
        return topic

    def options(self, door: str = "plain", password: str = PASSWORD) -> dict[str, str]:
        """How a client comes in, in librdkafka's words."""
        if door == "plain":
            return {"bootstrap.servers": self.plain}
        return {
            "bootstrap.servers": self.secure,
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.authority.certificate),
            "sasl.mechanism": MECHANISM,
            "sasl.username": USER,
            "sasl.password": password,
        }

    def committed(self, group: str, topic: str, partitions: int) -> list[int]:
        """Up to where a group has committed each partition; -1001 where it has not."""
        asked = [TopicPartition(topic, number) for number in range(partitions)]
        client = Consumer({"bootstrap.servers": self.plain, "group.id": group})
        try:
            return [one.offset for one in self._coordinated(client, asked)]
        finally:
            client.close()

    def _coordinated(self, client: Consumer, asked: list[TopicPartition]) -> list[TopicPartition]:
        """Ask the group's coordinator, once there is one. Raises: KafkaException."""
        until = time.monotonic() + 60
        while True:
            try:
                answer = client.committed(asked, timeout=20)
                if failed := next((one.error for one in answer if one.error), None):
                    raise KafkaException(failed)
                return answer
            except KafkaException as error:
                if error.args[0].code() not in NO_COORDINATOR_YET or time.monotonic() > until:
                    raise
                time.sleep(0.2)
