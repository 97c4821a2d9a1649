"""Where a partition is read from when it is taken on, and what happened to it meanwhile.

A group's committed offset alone does not tell enough. A topic may have been deleted and made again, and its log may have lost its
tail or its beginning. So each commit keeps the name of its log beside the offset, in the metadata that the broker stores for it.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection
from concurrent.futures import Future
from enum import StrEnum
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec, TopicDescription

from pipeline.kafka.config import admin_config
from pipeline.kafka.topics import topic_id
from pipeline.settings.schema import KafkaSettings

log = logging.getLogger(__name__)

ASK_WITHIN_S = 5.0
ASK_FOR_ID_EVERY_S = 1.0
CONFIRM_BACKWARDS_S = 3.0
"""How long a log must seem to end before the committed offset until this is believed. A new leader may still catch up."""
_METADATA = re.compile(r"log=(\S+)(?: to=(\d{1,19}))?")


def encode_log_name(name: str, to: int | None = None) -> str:
    """Return the metadata of a commit: the name of the log that its offset belongs to.

    A log's name is its topic's id, followed by a number if the log has lost its tail. `to` is the end of the batch that is being
    written from the offset on, for readers that must never cut a batch anew.

    >>> parse_log_name(encode_log_name("xyz~1", 70)), parse_end(encode_log_name("xyz~1", 70))
    ('xyz~1', 70)
    """
    return f"log={name}" if to is None else f"log={name} to={to}"


def parse_log_name(metadata: str | None) -> str | None:
    """Return the name of the log in a commit's metadata. None if there is no metadata, or if another program wrote it."""
    found = _METADATA.fullmatch(metadata or "")
    return found[1] if found else None


def parse_end(metadata: str | None) -> int | None:
    """Return the end of the batch that was being written, or None."""
    found = _METADATA.fullmatch(metadata or "")
    return int(found[2]) if found and found[2] else None


class Break(StrEnum):
    """Why a partition does not go on where its group had stopped."""

    RETENTION = "retention"
    """The broker deleted records before the group had read them."""
    RECREATED = "recreated"
    """The topic was deleted and made again under the same name. It is read from its beginning."""
    WENT_BACKWARDS = "went_backwards"
    """The log ends before the committed offset, because the broker lost its tail. What comes now is read as a new log."""


class Start(NamedTuple):
    """Where reading begins. `base` is the committed offset for the ledger and the next commit, `log` the name of the log.

    `seek_to` is set if the client must be moved there. `lost` is the number of offsets that were deleted before they were read.
    `redo_to` is set if the records from `base` up to and without it were being written as one batch. They are one batch again.
    """

    base: int
    log: str
    broken: Break | None = None
    seek_to: int | None = None
    lost: int = 0
    redo_to: int | None = None


def find_start(committed: int | None, log_name: str | None, first: int, end: int, topic_id: str) -> Start:
    """Decide where a partition is read from.

    `committed` is the group's offset, None if there is none, and `log_name` the log that it belongs to. The broker has the
    offsets from `first` up to `end`, excluded. A commit without a log name is from an older version, and is trusted.
    """
    if committed is None:
        return Start(first, topic_id)
    log_name = log_name or topic_id
    if log_name.partition("~")[0] != topic_id:
        return Start(first, topic_id, Break.RECREATED, seek_to=first)
    if committed > end:
        return Start(end, _next_log(log_name), Break.WENT_BACKWARDS, seek_to=end)
    if committed < first:
        return Start(committed, log_name, Break.RETENTION, lost=first - committed)
    return Start(committed, log_name)


def _next_log(name: str) -> str:
    topic_id, _, number = name.partition("~")
    return f"{topic_id}~{int(number or 0) + 1}"


class TopicHistory:
    """Asks the broker what happened to a topic. Used by one thread."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._topic = topic
        self._admin = AdminClient(admin_config(kafka))
        self._id = ""
        self._asked: Future[TopicDescription] | None = None
        """Request for the topic's id that is under way, or answered."""
        self._ask_at = 0.0
        self._backwards_since: dict[int, float] = {}

    def is_recreated(self) -> bool:
        """Whether the topic is another one than when partitions were taken on. Asks once a second and never waits."""
        is_another = False
        if self._asked is not None and self._asked.done():
            if self._asked.exception() is None and self._id:
                is_another = str(self._asked.result().topic_id) != self._id
            self._asked = None
        if self._asked is None and time.monotonic() > self._ask_at:
            self._ask_at = time.monotonic() + ASK_FOR_ID_EVERY_S
            self._asked = self._admin.describe_topics(TopicCollection([self._topic]), request_timeout=ASK_WITHIN_S)[self._topic]
        return is_another

    def find_starts(self, consumer: Consumer, partitions: Collection[int]) -> dict[int, Start]:
        """Return where each partition is read from, and log what happened to it.

        `consumer` is a member of the group. Raises KafkaException if the broker does not answer, or if the log
        seems to have gone backwards and must be looked at again.
        """
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        self._id = topic_id(self._admin, self._topic)
        firsts = self._admin.list_offsets(dict.fromkeys(places, OffsetSpec.earliest()), request_timeout=ASK_WITHIN_S)
        ends = self._admin.list_offsets(dict.fromkeys(places, OffsetSpec.latest()), request_timeout=ASK_WITHIN_S)
        bounds = {place.partition: (firsts[place].result().offset, ends[place].result().offset) for place in places}
        starts = {}
        for place in consumer.committed(places, timeout=ASK_WITHIN_S):
            if place.error is not None:
                raise KafkaException(place.error)
            committed = place.offset if place.offset >= 0 else None
            start = find_start(committed, parse_log_name(place.metadata), *bounds[place.partition], self._id)
            if start.broken is Break.WENT_BACKWARDS:
                self._confirm(place.partition)
            if start.broken is not None:
                self._tell(place.partition, committed, start)
            redo_to = parse_end(place.metadata)
            if redo_to is not None and start.seek_to is None and redo_to > start.base + start.lost:
                start = start._replace(redo_to=redo_to)
            starts[place.partition] = start
        return starts

    def _confirm(self, partition: int) -> None:
        """Raise KafkaException until a log has looked too short for CONFIRM_BACKWARDS_S."""
        since = self._backwards_since.setdefault(partition, time.monotonic())
        if time.monotonic() - since < CONFIRM_BACKWARDS_S:
            raise KafkaException(KafkaError(KafkaError.OFFSET_OUT_OF_RANGE))
        del self._backwards_since[partition]

    def _tell(self, partition: int, committed: int | None, start: Start) -> None:
        about = {"topic": self._topic, "partition": partition, "committed": committed, "reads_from": start.base + start.lost}
        if start.broken is Break.RETENTION:
            log.error("records were deleted before they were read", extra=about | {"lost": start.lost})
        elif start.broken is Break.RECREATED:
            log.error("the topic was deleted and made again, and is read from its beginning", extra=about)
        else:
            log.error("the log ends before the committed offset: its broker lost records that were processed", extra=about)
