"""The topics of an installation: creating them, checking existing ones, and their ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from pipeline.kafka.config import REQUEST_OVERHEAD_BYTES, admin_config, dead_letter_bytes, worker_request_bytes
from pipeline.settings.schema import KafkaSettings, Settings

TIMEOUT_S = 15.0

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be. `at_least` holds settings whose value on the broker may be larger but not smaller."""

    name: str
    at_least: Mapping[str, int]
    exactly: Mapping[str, str] = field(default_factory=dict)

    def config(self) -> dict[str, str]:
        """Return all settings in the broker's form."""
        return {name: str(value) for name, value in self.at_least.items()} | dict(self.exactly)


def wanted_topics(settings: Settings) -> list[Topic]:
    """Return the topics of one installation with their settings. See docs/spec/storage-messages.md."""
    kafka, record_bytes = settings.kafka, settings.input.max_record_bytes
    request_bytes = worker_request_bytes(kafka) + REQUEST_OVERHEAD_BYTES
    outcomes = {"max.message.bytes": request_bytes, "retention.ms": _DAY_MS}
    delete = {"cleanup.policy": "delete"}
    appended = {"message.timestamp.type": "LogAppendTime"}  # readers measure their delay from there
    return [
        Topic(kafka.events_in, {"max.message.bytes": record_bytes + REQUEST_OVERHEAD_BYTES, "retention.ms": _DAY_MS}, delete),
        Topic(kafka.events_out, {"max.message.bytes": kafka.max_output_bytes, "retention.ms": _DAY_MS}, delete | appended),
        *(Topic(name, outcomes, delete) for name in outcome_topics(kafka)),
        Topic(kafka.dead_letters, {"max.message.bytes": dead_letter_bytes(settings), "retention.ms": 7 * _DAY_MS}, delete),
        Topic(
            kafka.events_out_dead_letters,
            {"max.message.bytes": kafka.max_output_bytes + REQUEST_OVERHEAD_BYTES, "retention.ms": 7 * _DAY_MS},
            delete,
        ),
        Topic(
            kafka.outcomes_dead_letters, {"max.message.bytes": dead_letter_bytes(settings), "retention.ms": 7 * _DAY_MS}, delete
        ),
    ]


def create_topics(settings: Settings, partitions: int) -> tuple[list[str], dict[str, int]]:
    """Create the missing topics. Return the names created, and the others with their partitions. Raises KafkaException."""
    admin = AdminClient(admin_config(settings.kafka))
    new = [
        NewTopic(
            topic.name, num_partitions=partitions, replication_factor=settings.kafka.replication_factor, config=topic.config()
        )
        for topic in wanted_topics(settings)
    ]
    created, existing = [], {}
    for name, future in admin.create_topics(new, operation_timeout=TIMEOUT_S, request_timeout=TIMEOUT_S).items():
        try:
            future.result()
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            existing[name] = len(admin.list_topics(name, timeout=TIMEOUT_S).topics[name].partitions)
    return created, existing


def check_topics(settings: Settings) -> Iterator[str]:
    """Yield a sentence for everything that does not fit. Raises KafkaException."""
    admin = AdminClient(admin_config(settings.kafka))
    known = admin.list_topics(timeout=TIMEOUT_S).topics
    limits: dict[str, int] = {}
    for topic in wanted_topics(settings):
        if topic.name not in known:
            yield f"{topic.name} does not exist: pipeline topics create"
            continue
        resource = ConfigResource(ResourceType.TOPIC, topic.name)
        found = admin.describe_configs([resource], request_timeout=TIMEOUT_S)[resource].result()
        limits[topic.name] = int(found["max.message.bytes"].value)
        for name, least in topic.at_least.items():
            value = int(found[name].value)
            if 0 <= value < least:  # -1 is without limit
                yield f"{topic.name}: {name} is {value}, and must be at least {least}"
        for name, wanted in topic.exactly.items():
            if found[name].value != wanted:
                yield f"{topic.name}: {name} is {found[name].value!r}, and must be {wanted!r}"
    coming, kept = limits.get(settings.kafka.events_in), limits.get(settings.kafka.dead_letters)
    if coming is not None and kept is not None and coming >= kept:
        yield f"{settings.kafka.dead_letters} takes {kept} bytes, and {settings.kafka.events_in} {coming}: what comes in must fit"


def outcome_topics(kafka: KafkaSettings) -> list[str]:
    """Return the names of the topics that outcomes go to, without repeats."""
    return list(dict.fromkeys(name for name in (kafka.outcomes, kafka.outcomes_billing) if name))


def worker_topics(kafka: KafkaSettings) -> list[str]:
    """Return the names of the topics that a worker reads and writes."""
    return [kafka.events_in, kafka.events_out, kafka.dead_letters, *outcome_topics(kafka)]


def store_topics(kafka: KafkaSettings) -> list[str]:
    """Return the names of the topics that a store reads and writes."""
    return [kafka.events_out, *outcome_topics(kafka), kafka.events_out_dead_letters, kafka.outcomes_dead_letters]


def find_missing(settings: Settings, names: Iterable[str], within_s: float) -> list[str]:
    """Return those of the topics that the broker does not have. Raises KafkaException if no broker answers in time."""
    known = AdminClient(admin_config(settings.kafka)).list_topics(timeout=within_s).topics
    return [name for name in names if name not in known]


def topic_id(admin: AdminClient, name: str) -> str:
    """Return a topic's id. A later topic of the same name has another id. Raises KafkaException."""
    described = admin.describe_topics(TopicCollection([name]), request_timeout=TIMEOUT_S)[name].result()
    return str(described.topic_id)
