"""Where a partition is read from when it is taken on, and what happened to it meanwhile.

A group's committed offset alone does not tell enough. A topic may have been deleted and made again, and its log may have lost its
tail or its beginning. So each commit keeps the name of its log beside the offset, in the metadata that the broker stores for it.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from enum import StrEnum
from typing import Any, NamedTuple

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo, OffsetSpec, TopicDescription

from pipeline.kafka.config import admin_config
from pipeline.kafka.topics import topic_id
from pipeline.settings.schema import KafkaSettings

log = logging.getLogger(__name__)

ASK_WITHIN_S = 5.0
ASK_EVERY_S = 1.0
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


class Glance(NamedTuple):
    """What the broker answered to a glance at the topic. `bounds` holds for each partition its first offset and its end.

    `is_gone` tells that the topic which was read is not there any more, whether or not there is another one by now. `asked_at`
    holds the offset that was to be read next in each partition when the broker was asked, or that is committed. `foreign` are
    partitions whose committed offset belongs to another topic.
    """

    is_gone: bool
    bounds: Mapping[int, tuple[int, int]]
    asked_at: Mapping[int, int]
    foreign: Collection[int] = ()


class TopicHistory:
    """Asks the broker what happened to a topic. Used by one thread."""

    def __init__(self, kafka: KafkaSettings, topic: str, group: str) -> None:
        self._topic = topic
        self._group = group
        self._admin = AdminClient(admin_config(kafka))
        self._id = ""
        self._description: Future[TopicDescription] | None = None
        self._asked: _Asked | None = None
        self._ask_at = 0.0
        self._backwards_since: dict[int, float] = {}

    def glance(self, reading_at: Mapping[int, int], unknown: Collection[int]) -> Glance | None:
        """Ask for the topic's id and bounds, once a second and without waiting. Return an answer when there is a new one.

        `reading_at` holds the offset to be read next in each partition. `unknown` are partitions of which nothing was read yet:
        for these the group's committed offsets are asked for too.
        """
        found = None
        if self._asked is not None and self._asked.is_done():
            found = self._asked.answer(self._id)
            self._asked = None
        if self._description is not None and self._description.done():
            # Bounds are asked for only while the broker answers: if it does not, librdkafka may end the process, by an
            # assertion about the leaders that it looks for (rd_kafka_enq_once_del_source_return).
            description, self._description = self._description, None
            if description.exception() is None:
                bounds = self._ask_for_bounds([*reading_at, *unknown])
                self._asked = _Asked(description, *bounds, dict(reading_at), self._ask_for_committed(unknown))
            else:
                found = _Asked(description, {}, {}, {}, None).answer(self._id)
        if self._asked is None and self._description is None and time.monotonic() > self._ask_at:
            self._ask_at = time.monotonic() + ASK_EVERY_S
            topics = TopicCollection([self._topic])
            self._description = self._admin.describe_topics(topics, request_timeout=ASK_WITHIN_S)[self._topic]
        return found

    def _ask_for_bounds(self, partitions: Collection[int]) -> tuple[_Offsets, _Offsets]:
        """Ask where partitions begin and end."""
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        if not places:
            return {}, {}
        return (
            self._admin.list_offsets(dict.fromkeys(places, OffsetSpec.earliest()), request_timeout=ASK_WITHIN_S),
            self._admin.list_offsets(dict.fromkeys(places, OffsetSpec.latest()), request_timeout=ASK_WITHIN_S),
        )

    def _ask_for_committed(self, partitions: Collection[int]) -> Future[ConsumerGroupTopicPartitions] | None:
        """Ask for the group's offsets, without waiting for the end of open transactions."""
        if not partitions:
            return None
        wanted = [TopicPartition(self._topic, partition) for partition in partitions]
        group = ConsumerGroupTopicPartitions(self._group, wanted)
        asked: Future[ConsumerGroupTopicPartitions] = self._admin.list_consumer_group_offsets(
            [group], request_timeout=ASK_WITHIN_S
        )[self._group]
        return asked

    def find_starts(self, consumer: Consumer, partitions: Collection[int]) -> dict[int, Start]:
        """Return where each partition is read from, and log what happened to it.

        `consumer` is a member of the group. Raises KafkaException if the broker does not answer, or if the log
        seems to have gone backwards and must be looked at again.
        """
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        present_id = topic_id(self._admin, self._topic)
        bounds = _bounds(*self._ask_for_bounds(partitions))
        starts = {}
        for place in consumer.committed(places, timeout=ASK_WITHIN_S):
            if place.error is not None:
                raise KafkaException(place.error)
            committed = place.offset if place.offset >= 0 else None
            start = find_start(committed, parse_log_name(place.metadata), *bounds[place.partition], present_id)
            if start.broken is Break.WENT_BACKWARDS:
                self._confirm(place.partition)
            else:
                self._backwards_since.pop(place.partition, None)
            if start.broken in {Break.RECREATED, Break.WENT_BACKWARDS}:
                self._tell(place.partition, committed, start)
            redo_to = parse_end(place.metadata)
            if redo_to is not None and start.seek_to is None and redo_to > start.base + start.lost:
                start = start._replace(redo_to=redo_to)
            starts[place.partition] = start
        self._id = present_id
        return starts

    def _confirm(self, partition: int) -> None:
        """Raise KafkaException until a log has looked too short for CONFIRM_BACKWARDS_S."""
        since = self._backwards_since.setdefault(partition, time.monotonic())
        if time.monotonic() - since < CONFIRM_BACKWARDS_S:
            raise KafkaException(KafkaError(KafkaError.OFFSET_OUT_OF_RANGE))
        del self._backwards_since[partition]

    def _tell(self, partition: int, committed: int | None, start: Start) -> None:
        about = {"topic": self._topic, "partition": partition, "committed": committed, "reads_from": start.base}
        if start.broken is Break.RECREATED:
            log.error("the topic was deleted and made again, and is read from its beginning", extra=about)
        else:
            log.error("the log ends before the committed offset: its broker lost records that were processed", extra=about)


_Offsets = Mapping[TopicPartition, "Future[ListOffsetsResultInfo]"]


class _Asked(NamedTuple):
    """Requests that are under way, or answered."""

    description: Future[TopicDescription]
    firsts: _Offsets
    ends: _Offsets
    reading_at: Mapping[int, int]
    committed: Future[ConsumerGroupTopicPartitions] | None

    @property
    def _futures(self) -> list[Future[Any]]:
        committed = [] if self.committed is None else [self.committed]
        return [self.description, *self.firsts.values(), *self.ends.values(), *committed]

    def is_done(self) -> bool:
        """Whether every answer is there."""
        return all(future.done() for future in self._futures)

    def answer(self, topic_id: str) -> Glance | None:
        """Return what the broker answered, or None if it did not. `topic_id` is the id of the topic that is read."""
        error = self.description.exception()
        if isinstance(error, KafkaException) and error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return Glance(is_gone=True, bounds={}, asked_at={})
        if any(future.exception() is not None for future in self._futures):
            return None
        present_id = str(self.description.result().topic_id)
        is_gone = bool(topic_id) and present_id != topic_id
        bounds = _bounds(self.firsts, self.ends)
        at, foreign = dict(self.reading_at), []
        for place in self.committed.result().topic_partitions if self.committed is not None else ():
            is_committed = place.offset >= 0
            at[place.partition] = place.offset if is_committed else bounds[place.partition][0]
            if is_committed and (parse_log_name(place.metadata) or present_id).partition("~")[0] != present_id:
                foreign.append(place.partition)
        return Glance(is_gone, bounds, at, foreign)


def _bounds(firsts: _Offsets, ends: _Offsets) -> dict[int, tuple[int, int]]:
    """Return the first offset and the end of each partition. Raises KafkaException if the broker did not answer."""
    return {place.partition: (firsts[place].result().offset, ends[place].result().offset) for place in firsts}
