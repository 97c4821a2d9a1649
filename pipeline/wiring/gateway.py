"""A gateway: HTTP into the spool, and the spool into Kafka."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pipeline.gateway.limits import ClosedCategories
from pipeline.gateway.origins import Network
from pipeline.gateway.process import Gateway
from pipeline.gateway.server import Door
from pipeline.gateway.shipping import ShippingWork, SpoolSource
from pipeline.kafka.kept_position import KeptPosition
from pipeline.kafka.producer import TransactionalProducer
from pipeline.model.errors import SettingsError
from pipeline.observability.prometheus_gateway import GatewayMetrics
from pipeline.rules.folder import RulesFolder
from pipeline.runtimes.dead_letter_limit import DeadLetterLimit
from pipeline.runtimes.loop import Loop
from pipeline.settings.schema import Settings
from pipeline.spool.errors import SpoolInUseError
from pipeline.spool.files import DiskFiles
from pipeline.spool.spool import Spool


def make_gateway(settings: Settings, rules: RulesFolder, metrics: GatewayMetrics) -> Gateway:
    """Return a gateway that does not listen yet. Raises SettingsError for a spool that another process uses, or no networks."""
    own, kafka = settings.gateway, settings.kafka
    try:
        spool = Spool(DiskFiles(Path(own.spool)), segment_bytes=own.spool_segment_bytes)
    except SpoolInUseError as error:
        raise SettingsError(f"gateway.spool: {error}") from None
    name = f"{kafka.consumer_group}-spool-{spool.id}"
    sink = TransactionalProducer(kafka, name, metrics.kafka_error)
    source = SpoolSource(spool, KeptPosition(kafka, kafka.events_in, name), sink.register, settings.batch)
    work = ShippingWork(kafka, lambda: rules.current, metrics)
    loop = Loop(source, work, sink, metrics, DeadLetterLimit(settings.dead_letters))
    door = Door(
        own,
        spool,
        rules,
        ClosedCategories(),
        metrics,
        is_unknown_refused=settings.input.unknown_projects == "reject",
        trusted=_networks(own.trusted_proxies),
    )
    return Gateway(settings, door, spool, source, work, loop, rules, metrics)


def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise SettingsError(f"gateway.trusted_proxies: {error}") from None
