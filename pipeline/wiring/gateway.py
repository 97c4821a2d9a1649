"""Puts a gateway together: HTTP into the spool, and the spool into Kafka."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path

from pipeline.api.routes import Api
from pipeline.gateway.limits import FindUsedUp, SenderLimits, Senders
from pipeline.gateway.origins import Network
from pipeline.gateway.process import Gateway
from pipeline.gateway.server import Door
from pipeline.gateway.shipper import ShippingWork, SpoolSource
from pipeline.kafka.kept_position import KeptPosition
from pipeline.kafka.producer import TransactionalProducer
from pipeline.model.errors import SettingsError
from pipeline.model.scope import Scope
from pipeline.observability.prometheus_gateway import GatewayMetrics
from pipeline.quotas.used_up import UsedUp, find_used_up
from pipeline.redis.client import Client
from pipeline.rules.folder import RulesFolder
from pipeline.runtimes.dead_letter_limit import DeadLetterLimit
from pipeline.runtimes.loop import Loop
from pipeline.settings.schema import Settings
from pipeline.spool.errors import SpoolInUseError
from pipeline.spool.files import DiskFiles
from pipeline.spool.spool import Spool
from pipeline.wiring.api import upload_api
from pipeline.wiring.redis import connect_redis


def make_gateway(settings: Settings, rules: RulesFolder, metrics: GatewayMetrics) -> Gateway:
    """Return a gateway that does not listen yet.

    Raises SettingsError if another process uses the spool, or if `trusted_proxies` holds something that is not a network.
    """
    kafka = settings.kafka
    spool = open_spool(settings)
    name = f"{kafka.consumer_group}-spool-{spool.id}"
    sink = TransactionalProducer(kafka, name, metrics.kafka_error)
    source = SpoolSource(spool, KeptPosition(kafka, kafka.events_in, name), sink.register, settings.batch)
    work = ShippingWork(kafka, lambda: rules.current, metrics)
    loop = Loop(source, work, sink, metrics, DeadLetterLimit(settings.dead_letters))
    api = Api(None, upload_api(settings, rules, settings.gateway.public_url))
    door = make_door(settings, spool, rules, metrics, api)
    about = {"brokers": kafka.brokers}
    return Gateway(settings, door, spool, source, work, loop, rules, metrics, about)


def open_spool(settings: Settings) -> Spool:
    """Return the spool that the settings name. Raises SettingsError if another process uses it."""
    own = settings.gateway
    try:
        return Spool(DiskFiles(Path(own.spool)), segment_bytes=own.spool_segment_bytes)
    except SpoolInUseError as error:
        raise SettingsError(f"gateway.spool: {error}") from None


def make_door(settings: Settings, spool: Spool, rules: RulesFolder, metrics: GatewayMetrics, api: Api) -> Door:
    """Return what answers requests. Raises SettingsError if `trusted_proxies` holds something that is not a network."""
    own = settings.gateway
    limits = SenderLimits(lambda: rules.current, _used_up(settings) if settings.redis.url else None)
    return Door(
        own,
        spool,
        rules,
        limits,
        metrics,
        is_unknown_refused=settings.input.unknown_projects == "reject",
        trusted=_networks(own.trusted_proxies),
        api=api,
        tokens=settings.api.tokens,
    )


def _used_up(settings: Settings) -> FindUsedUp:
    """Return a function that asks the workers' Redis for used-up quotas.

    It connects at its first call, so Redis may be away now.
    """
    clients: list[Client] = []

    def find(senders: Senders, now: float) -> Mapping[Scope, tuple[UsedUp, ...]]:
        if not clients:
            clients.append(connect_redis(settings))
        return find_used_up(clients[0], senders, now)

    return find


def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise SettingsError(f"gateway.trusted_proxies: {error}") from None
