"""TLS and SASL by settings alone: a broker that takes nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kafka_broker import Broker, open_consumer, open_producer
from support.secure import make_certificate

from pipeline.kafka.batch import KafkaPositions
from pipeline.kafka.config import client_config
from pipeline.kafka.topics import check_topics, create_topics
from pipeline.model.record import Output
from pipeline.settings.schema import KafkaSettings, Settings

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

LOGIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="broker" password="inner"'


@pytest.fixture
def secure_settings(tmp_path: Path) -> Iterator[Settings]:
    make_certificate(tmp_path)
    pem = tmp_path / "broker.pem"
    pem.write_text((tmp_path / "key.pem").read_text() + (tmp_path / "cert.pem").read_text())
    broker = Broker(
        tmp_path,
        properties="\n".join(
            [
                "listeners=SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners=SASL_SSL://127.0.0.1:{port}",
                "inter.broker.listener.name=SASL_SSL",
                "sasl.enabled.mechanisms=PLAIN",
                "sasl.mechanism.inter.broker.protocol=PLAIN",
                f'listener.name.sasl_ssl.plain.sasl.jaas.config={LOGIN} user_broker="inner" user_pipeline="s3cret";',
                "ssl.keystore.type=PEM",
                f"ssl.keystore.location={pem}",
                "ssl.truststore.type=PEM",
                f"ssl.truststore.location={tmp_path / 'cert.pem'}",
                "",
            ]
        ),
    )
    broker.start()
    yield Settings(
        kafka=KafkaSettings(
            brokers=broker.address,
            security_protocol="SASL_SSL",
            ssl_ca_file=str(tmp_path / "cert.pem"),
            sasl_mechanism="PLAIN",
            sasl_username="pipeline",
            sasl_password="s3cret",
        )
    )
    broker.stop()


def test_a_batch_goes_through_tls_and_sasl(secure_settings: Settings) -> None:
    create_topics(secure_settings, 1)
    assert list(check_topics(secure_settings)) == []
    source, sink = open_consumer(secure_settings), open_producer(secure_settings)
    deadline = time.monotonic() + 60
    while not source.partitions:
        assert time.monotonic() < deadline
        source.poll()
    positions = KafkaPositions(secure_settings.kafka.events_in, {0: 0}, source._membership)
    sink.commit({secure_settings.kafka.events_in: [Output(None, b"x", [])]}, positions)
    batch = None
    while batch is None:
        assert time.monotonic() < deadline
        batch = source.poll()
    assert [record.body for record in batch.records] == [b"x"]
    source.close()
    sink.close()


def test_what_is_not_set_is_left_to_the_client() -> None:
    assert {name for name in client_config(KafkaSettings()) if name.startswith(("ssl.", "sasl."))} == set()
    names = client_config(KafkaSettings(security_protocol="SASL_SSL", sasl_username="u", ssl_key_password="k"))
    assert names["sasl.mechanism"] == "SCRAM-SHA-512"
    assert names["ssl.key.password"] == "k"
