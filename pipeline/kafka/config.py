"""Settings become librdkafka's configuration. Every value that trades one thing for another says what it trades."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from pipeline.observability.log_repeats import KAFKA_CLIENT
from pipeline.settings.schema import KafkaSettings, Settings

Config = dict[str, Any]

REQUEST_OVERHEAD_BYTES = 1_000_000
"""What a fetch response may hold beside its records; a response above `receive.message.max.bytes` kills the connection."""

LARGEST_RECORD_BYTES = 100_000_000
"""What the client lets through: events are checked before, dead letters are as large as what came in. The topics judge."""

RECEIVE_BYTES = 3 * LARGEST_RECORD_BYTES
"""A bound on a fetch's response, never allocated, and on what a zstd batch may unpack to: the client guesses how much that will
be, each time three times as much, and gives up above this. What it gives up on stalls its partition for ever."""

QUEUE_BYTES = 150_000_000
"""What waits in the producer. A record that is larger than the queue would never fit, and stop its batch for ever."""

WORKER_REQUEST_BYTES = 10_000_000
"""What a worker sends to one partition at once, before compression: more than a batch comes to (`batch.max_bytes`)."""


def client_config(kafka: KafkaSettings) -> Config:
    """Give what every client needs: addresses and credentials.

    Consumers and producers say by our logs what goes on in them; for admin clients see `admin_config`.
    """
    config: Config = {
        "bootstrap.servers": kafka.brokers,
        "security.protocol": kafka.security_protocol,
        "topic.metadata.refresh.interval.ms": round(kafka.metadata_refresh_s * 1e3),
        "retry.backoff.ms": kafka.retry_backoff_ms,
        "log_level": 5,  # the client's own log: notices and worse
        "reconnect.backoff.max.ms": 2_000,  # a broker that comes back is found within 2 s; the default is 10
    }
    if kafka.security_protocol.startswith("SASL"):
        config["sasl.mechanism"] = kafka.sasl_mechanism
    config |= {
        name: value
        for name, value in {
            "ssl.ca.location": kafka.ssl_ca_file,
            "ssl.certificate.location": kafka.ssl_certificate_file,
            "ssl.key.location": kafka.ssl_key_file,
            "ssl.key.password": kafka.ssl_key_password,
            "sasl.username": kafka.sasl_username,
            "sasl.password": kafka.sasl_password,
        }.items()
        if value is not None
    }
    return config


def admin_config(kafka: KafkaSettings) -> Config:
    """Give an admin client, silent: nobody polls one, so that it could only write past our logs. What it raises says it all."""
    return client_config(kafka) | {"log_level": 0}


def consumer_config(kafka: KafkaSettings, group: str, *, max_record_bytes: int) -> Config:
    """Give the hot path's consumer: cooperative, committed records only, reading ahead no more than `prefetch_bytes`."""
    fetch_bytes = max(kafka.prefetch_bytes // 2, max_record_bytes)
    config = client_config(kafka) | {
        "logger": logging.getLogger(KAFKA_CLIENT),
        "group.id": group,
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": round(kafka.session_timeout_s * 1e3),
        "heartbeat.interval.ms": round(kafka.session_timeout_s * 1e3 / 5),
        "max.poll.interval.ms": round(max(kafka.max_poll_interval_s, kafka.session_timeout_s) * 1e3),
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": False,
        "auto.offset.reset": "earliest",  # with `latest`, the first records of an added partition would be lost
        "queued.min.messages": 2_000,  # two full batches; the default of 100,000 is memory without use
        "queued.max.messages.kbytes": max(1, kafka.prefetch_bytes // 1_000),
        "fetch.max.bytes": fetch_bytes,
        "max.partition.fetch.bytes": min(fetch_bytes, 4_000_000),  # a larger record still comes, alone (KIP-74)
        "fetch.wait.max.ms": 50,
        "receive.message.max.bytes": max(RECEIVE_BYTES, 2 * fetch_bytes + max_record_bytes + REQUEST_OVERHEAD_BYTES),
    }
    if kafka.static_membership and kafka.slot is not None:
        config["group.instance.id"] = f"{group}-{kafka.slot}"
    return config


def reader_config(kafka: KafkaSettings, *, max_record_bytes: int) -> Config:
    """Give a consumer that stands in no group: it assigns its partitions itself and reads what is committed."""
    group = f"{kafka.consumer_group}-reader-{secrets.token_hex(4)}"
    config = consumer_config(kafka, group, max_record_bytes=max_record_bytes) | {
        "enable.partition.eof": True,
    }
    config.pop("group.instance.id", None)
    return config


def producer_config(kafka: KafkaSettings) -> Config:
    """Give a producer of large records in large batches, with bounded memory."""
    return client_config(kafka) | {
        "logger": logging.getLogger(KAFKA_CLIENT),
        "compression.type": kafka.compression,
        "enable.idempotence": True,
        "linger.ms": 5,
        "batch.size": 1_000_000,  # small beside what topics take: a request is cut by the first record that does not fit
        "message.max.bytes": LARGEST_RECORD_BYTES,
        "queue.buffering.max.kbytes": QUEUE_BYTES // 1_000,
        "queue.buffering.max.messages": 100_000,
        "sticky.partitioning.linger.ms": 10,
        "partitioner": "murmur2_random",  # as Java clients do, so that a project's partition is the same for all producers
    }


def transactional_config(kafka: KafkaSettings, transactional_id: str) -> Config:
    """Give a producer whose records appear all or not at all."""
    timeout_ms = round(kafka.transaction_timeout_s * 1e3)
    return producer_config(kafka) | {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": timeout_ms,
        "delivery.report.only.error": True,  # a callback for each event would be our dearest line
        "delivery.timeout.ms": timeout_ms,  # a record that is not delivered by then has lost its transaction anyway
        "socket.timeout.ms": min(10_000, timeout_ms),
    }


def worker_producer_config(kafka: KafkaSettings, transactional_id: str) -> Config:
    """Give the hot path's producer: all that a batch has for a partition goes out in one request, at the commit.

    While records wait behind a request under way, the client's thread polls without a pause: in requests of 1 MB that took more
    CPU than all the rest of it. A commit does not wait for `linger.ms`.
    """
    return transactional_config(kafka, transactional_id) | {
        "batch.size": worker_request_bytes(kafka),
        "linger.ms": 100,
    }


def worker_request_bytes(kafka: KafkaSettings) -> int:
    """Give the size of a worker's largest request to a partition; every topic that it writes must take as much."""
    return min(WORKER_REQUEST_BYTES, kafka.max_output_bytes)


def dead_letter_bytes(settings: Settings) -> int:
    """Give the size of the largest record that the dead-letter topic takes, packed."""
    request_bytes = worker_request_bytes(settings.kafka) + REQUEST_OVERHEAD_BYTES
    return max(settings.input.max_record_bytes + 2 * REQUEST_OVERHEAD_BYTES, request_bytes)


def transactional_id(kafka: KafkaSettings, group: str) -> str:
    """Return the name of this process's transactions in a group.

    With a slot the name stays over a restart, so that the next life ends at once what this one left open.
    """
    return f"{group}-{kafka.slot or secrets.token_hex(8)}"
