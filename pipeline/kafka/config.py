"""librdkafka's configuration, made from the settings. Comments give the reason for each value that is not the default."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from pipeline.observability.log_repeats import KAFKA_CLIENT
from pipeline.settings.schema import KafkaSettings, Settings

Config = dict[str, Any]

REQUEST_OVERHEAD_BYTES = 1_000_000
"""Bytes that a fetch response may hold beside its records. A response above `receive.message.max.bytes` kills the connection."""

LARGEST_RECORD_BYTES = 100_000_000
"""Largest record that the client sends. The topics set the real limits: events are checked before, and dead letters are as large
as the records that came in."""

RECEIVE_BYTES = 3 * LARGEST_RECORD_BYTES
"""Bound on a fetch's response, which is never allocated, and on the unpacked size of a zstd batch. The client guesses that size,
triples the guess until it fits, and gives up above this bound. A batch that it gives up on stalls its partition for ever."""

QUEUE_BYTES = 150_000_000
"""Size of the producer's queue. A record larger than the queue would never fit, and would stop its batch for ever."""

WORKER_REQUEST_BYTES = 10_000_000
"""Bytes that a worker sends to one partition at once, before compression: more than one batch (`batch.max_bytes`)."""


def client_config(kafka: KafkaSettings) -> Config:
    """Return the configuration that every client needs: addresses and credentials.

    Consumers and producers log through `logging`. Admin clients are silent, see `admin_config`.
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
    """Return the configuration of an admin client. It is silent: nobody polls it, so it would write to stderr past `logging`."""
    return client_config(kafka) | {"log_level": 0}


def consumer_config(kafka: KafkaSettings, group: str, *, max_record_bytes: int) -> Config:
    """Return the configuration of a group's member: cooperative, committed records only, at most `prefetch_bytes` ahead."""
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
        "queued.min.messages": 2_000,  # two full batches; the default of 100,000 only takes memory
        "queued.max.messages.kbytes": max(1, kafka.prefetch_bytes // 1_000),
        "fetch.max.bytes": fetch_bytes,
        "max.partition.fetch.bytes": min(fetch_bytes, 4_000_000),  # a larger record is still delivered, alone (KIP-74)
        "fetch.wait.max.ms": 50,
        "receive.message.max.bytes": max(RECEIVE_BYTES, 2 * fetch_bytes + max_record_bytes + REQUEST_OVERHEAD_BYTES),
    }
    if kafka.static_membership and kafka.slot is not None:
        config["group.instance.id"] = f"{group}-{kafka.slot}"
    return config


def reader_config(kafka: KafkaSettings, *, max_record_bytes: int) -> Config:
    """Return the configuration of a consumer in no group. It assigns its partitions itself and reads committed records."""
    group = f"{kafka.consumer_group}-reader-{secrets.token_hex(4)}"
    config = consumer_config(kafka, group, max_record_bytes=max_record_bytes) | {
        "enable.partition.eof": True,
    }
    config.pop("group.instance.id", None)
    return config


def producer_config(kafka: KafkaSettings) -> Config:
    """Return the configuration of a producer of large records in large batches, with bounded memory."""
    return client_config(kafka) | {
        "logger": logging.getLogger(KAFKA_CLIENT),
        "compression.type": kafka.compression,
        "enable.idempotence": True,
        "linger.ms": 5,
        "batch.size": 1_000_000,  # well below the topics' limit: the first record that does not fit ends a request
        "message.max.bytes": LARGEST_RECORD_BYTES,
        "queue.buffering.max.kbytes": QUEUE_BYTES // 1_000,
        "queue.buffering.max.messages": 100_000,
        "sticky.partitioning.linger.ms": 10,
        "partitioner": "murmur2_random",  # as Java clients do, so that a project's partition is the same for all producers
    }


def transactional_config(kafka: KafkaSettings, transactional_id: str) -> Config:
    """Return the configuration of a transactional producer: a transaction's records become visible together or not at all."""
    timeout_ms = round(kafka.transaction_timeout_s * 1e3)
    return producer_config(kafka) | {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": timeout_ms,
        "delivery.report.only.error": True,  # a callback for each event would cost more than anything else in the worker
        "delivery.timeout.ms": timeout_ms,  # a record that is not delivered by then has lost its transaction anyway
        "socket.timeout.ms": min(10_000, timeout_ms),
    }


def worker_producer_config(kafka: KafkaSettings, transactional_id: str) -> Config:
    """Return the configuration of a worker's producer. A batch's records for one partition go out in one request, at the commit.

    While records wait behind a request under way, the client's thread polls without a pause. With requests of 1 MB this took more
    CPU than all the rest of the client. A commit does not wait for `linger.ms`.
    """
    return transactional_config(kafka, transactional_id) | {
        "batch.size": worker_request_bytes(kafka),
        "linger.ms": 100,
    }


def worker_request_bytes(kafka: KafkaSettings) -> int:
    """Return the size of a worker's largest request to a partition. Every topic that it writes must take as much."""
    return min(WORKER_REQUEST_BYTES, kafka.max_output_bytes)


def dead_letter_bytes(settings: Settings) -> int:
    """Return the packed size of the largest record that the dead-letter topic takes."""
    request_bytes = worker_request_bytes(settings.kafka) + REQUEST_OVERHEAD_BYTES
    return max(settings.input.max_record_bytes + 2 * REQUEST_OVERHEAD_BYTES, request_bytes)


def transactional_id(kafka: KafkaSettings, group: str) -> str:
    """Return the transactional id of this process in a group.

    With a slot the id stays the same over a restart, and the restarted process ends at once the transaction that it left open.
    """
    return f"{group}-{kafka.slot or secrets.token_hex(8)}"
