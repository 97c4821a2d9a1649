"""The worker where nothing is said in the clear: TLS and SASL to Kafka, TLS and a password to Redis, by settings alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from support.installation import Installation, free_port, until
from support.kafka_broker import Broker, admin
from support.secure import make_certificate, tls_proxy

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

USER, KAFKA_PASSWORD, REDIS_PASSWORD = "pipeline", "kafka-s3cret", "redis-s3cret"


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Installation]:
    """Return an installation whose worker knows the secure ways only; the test itself goes by the others."""
    make_certificate(tmp_path)
    secure_port = free_port()
    pem = tmp_path / "broker.pem"
    pem.write_text((tmp_path / "key.pem").read_text() + (tmp_path / "cert.pem").read_text())
    address = f"SASL_SSL://127.0.0.1:{secure_port}"
    scram = "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config"
    properties = [
        f"listeners=PLAINTEXT://127.0.0.1:{{port}},{address},CONTROLLER://127.0.0.1:{{controller}}",
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},{address}",
        "sasl.enabled.mechanisms=SCRAM-SHA-512",
        f"{scram}=org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "ssl.keystore.type=PEM",
        f"ssl.keystore.location={pem}",
        "",
    ]
    broker = Broker(tmp_path, "\n".join(properties))
    broker.start()
    credentials = UserScramCredentialUpsertion(
        USER, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), KAFKA_PASSWORD.encode()
    )
    client = admin(broker)
    for future in client.alter_user_scram_credentials([credentials]).values():
        future.result()
    installation = Installation(broker, tmp_path, REDIS_PASSWORD)
    authority = tmp_path / "cert.pem"
    with tls_proxy(tmp_path, installation.redis.port) as redis_port:
        settings = tmp_path / "settings.toml"
        text = settings.read_text()
        text = text.replace(
            installation.redis.url, f"rediss://:{REDIS_PASSWORD}@127.0.0.1:{redis_port}/0?ssl_ca_certs={authority}"
        )
        text = text.replace(broker.address, f"127.0.0.1:{secure_port}")
        credential_lines = f'ssl_ca_file = "{authority}"\nsasl_username = "{USER}"\nsasl_password = "{KAFKA_PASSWORD}"'
        settings.write_text(text.replace("[kafka]", f'[kafka]\nsecurity_protocol = "SASL_SSL"\n{credential_lines}'))
        yield installation
        installation.close()
    broker.stop()


def test_a_worker_and_the_commands_go_through_tls_and_passwords(secured: Installation) -> None:
    secured.worker()
    secured.feed(50)
    until(lambda: len(secured.stored()) == 50, what=secured.log)
    until(lambda: secured.counted() == 50, what=secured.log)  # by Faust's client, which has its own form of the settings
    secured.pipeline("topics", "check")
    secured.pipeline("load", "--count", "5")
    until(lambda: len(secured.stored()) == 55, what=secured.log)
    secured.pipeline("offsets", "show")
    assert secured.pipeline("dead-letters", "list").stdout == "no dead letters\n"
    shown = secured.pipeline("config", "show").stdout
    for password in (KAFKA_PASSWORD, REDIS_PASSWORD):
        assert password not in shown
        assert password not in secured.log()
