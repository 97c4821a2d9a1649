"""A real broker for tests: started through scripts/kafka with a port and a data folder of its own, stopped by its process id.

Without docker, and without Java and Maven, tests that need it are skipped with one line; with CI=true they fail.
"""

from __future__ import annotations

import atexit
import functools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from pipeline.kafka.config import transactional_id
from pipeline.kafka.consumer import KafkaConsumer
from pipeline.kafka.errors import when_settled
from pipeline.kafka.producer import TransactionalProducer
from pipeline.kafka.topics import create_topics
from pipeline.settings.schema import KafkaSettings, Settings

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kafka"

CANNOT_RUN = 3
HOW_TO_GET_ONE = (
    "no broker can run here: install docker, or Java 17 and Maven (Debian: apt-get install default-jre-headless maven)"
)


class Broker:
    """One broker. It can be killed and started again; its data stays.

    `properties` are added to its own; `{port}` and `{controller}` in them stand for the two ports.
    """

    def __init__(self, folder: Path, properties: str = "") -> None:
        self.port = _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = folder
        self._environment = {
            **os.environ,
            "KAFKA_PORT": str(self.port),
            "KAFKA_DATA": str(folder / "kafka"),
            "KAFKA_HEAP": "384m",
            "KAFKA_OWNER": str(os.getpid()),
        }
        if properties:
            placed = properties.replace("{port}", str(self.port)).replace("{controller}", str(self.port + 1))
            (folder / "extra.properties").write_text(placed)
            self._environment["KAFKA_PROPERTIES"] = str(folder / "extra.properties")

    def start(self) -> None:
        """Start it, or start it again. Skips the test where no broker can run."""
        done = subprocess.run([SCRIPT, "start"], env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode == CANNOT_RUN:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(HOW_TO_GET_ONE)
        assert done.returncode == 0, done.stderr

    def stop(self) -> None:
        """Stop it as an operator would."""
        subprocess.run([SCRIPT, "stop"], env=self._environment, capture_output=True, check=True)

    def kill(self) -> None:
        """Kill -9 the process that start wrote down; only where it is a process of ours, not a container."""
        pid = int((self.folder / "kafka" / "broker.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]:
            time.sleep(0.05)


@functools.cache
def shared_broker() -> Broker:
    """Return the one broker that all tests of this process share; it goes when the process does."""
    folder = Path(tempfile.mkdtemp(prefix="broker-"))
    broker = Broker(folder)
    broker.start()

    def remove() -> None:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return broker


def fresh_settings(broker: Broker, *, partitions: int = 4, **kafka: object) -> Settings:
    """Return settings whose topics and group nobody else uses; the topics are made."""
    name = secrets.token_hex(4)
    settings = Settings(
        kafka=KafkaSettings(
            brokers=broker.address,
            consumer_group=f"group-{name}",
            events_in=f"in-{name}",
            events_out=f"events-{name}",
            outcomes=f"outcomes-{name}",
            dead_letters=f"dlq-{name}",
            session_timeout_s=6.0,
            **kafka,  # type: ignore[arg-type]  # a test names what it changes
        )
    )
    create_topics(settings, partitions)
    return settings


def produce(broker: Broker, topic: str, values: list[bytes], **options: object) -> None:
    """Produce values without keys; `partition=` sends all to one."""
    producer = Producer(
        {"bootstrap.servers": broker.address, "message.max.bytes": 30_000_000, "linger.ms": 5, "enable.idempotence": True}
    )
    for value in values:
        producer.produce(topic, value, **options)
        producer.poll(0)
    assert producer.flush(30) == 0


def read_all(broker: Broker, topic: str, *, isolation: str = "read_committed") -> list[Message]:
    """Read a topic from its first record to its end, as any other consumer would."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.address,
            "group.id": f"reader-{secrets.token_hex(4)}",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.max.bytes": 60_000_000,
            "receive.message.max.bytes": 70_000_000,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=15).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        messages: list[Message] = []
        open_partitions = set(partitions)
        deadline = time.monotonic() + 60
        while open_partitions:
            assert time.monotonic() < deadline, f"no end of {topic} within 60 s"
            for message in consumer.consume(1_000, 0.2):
                error = message.error()
                if error is None:
                    messages.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition())
        return messages
    finally:
        consumer.close()


def committed(settings: Settings) -> dict[int, int]:
    """Return the group's committed offsets by partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.brokers,
            "group.id": settings.kafka.consumer_group,
            "isolation.level": "read_committed",
        }
    )
    try:
        partitions = consumer.list_topics(settings.kafka.events_in, timeout=15).topics[settings.kafka.events_in].partitions
        places = [TopicPartition(settings.kafka.events_in, partition) for partition in partitions]
        answers = when_settled(lambda: consumer.committed(places, timeout=30), 30)  # a new broker has no coordinator yet
        return {place.partition: place.offset for place in answers}
    finally:
        consumer.close()


def admin(broker: Broker) -> AdminClient:
    """Return an admin client."""
    return AdminClient({"bootstrap.servers": broker.address, "log_level": 4})


def set_topic(broker: Broker, topic: str, name: str, value: str) -> None:
    """Set one setting of a topic."""
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = admin(broker)
    for future in client.incremental_alter_configs([resource]).values():
        future.result()


def _free_port() -> int:
    """Find a port whose successor is free too: the controller takes that one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def open_consumer(settings: Settings, on_revoke: Callable[[Sequence[int]], None] = lambda _: None) -> KafkaConsumer:
    """Read the input topic as a worker does."""
    kafka = settings.kafka
    return KafkaConsumer(
        kafka,
        kafka.events_in,
        kafka.consumer_group,
        settings.batch,
        max_record_bytes=settings.input.max_record_bytes,
        on_revoke=on_revoke,
    )


def open_producer(settings: Settings) -> TransactionalProducer:
    """Write as a worker does."""
    return TransactionalProducer(settings.kafka, transactional_id(settings.kafka, settings.kafka.consumer_group))
