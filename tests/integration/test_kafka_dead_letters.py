"""Dead letters on a real broker: they keep their place, and come back once, whatever interrupts a replay."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Message, Producer
from support.command import pipeline
from support.kafka_broker import Broker, fresh_settings, read_all

from pipeline.kafka import dead_letter_topic
from pipeline.kafka.batch import TOKEN_HEADER, make_record
from pipeline.kafka.dead_letter_topic import DeadLetterTopic, Replayed, preview_replay, replay_letters
from pipeline.kafka.dead_letters import LetterAddress, StoredLetter, Wanted, read_mark
from pipeline.kafka.topics import topic_id
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.record import Form, Token
from pipeline.redis.client import connect
from pipeline.redis.embedded import EmbeddedRedis
from pipeline.rules.folder import RulesFolder
from pipeline.runtimes.generated_events import generate_events, ingest_message
from pipeline.runtimes.worker.encoding import dead_letter
from pipeline.settings.schema import Settings
from pipeline.stages import ERRORS
from pipeline.stages.contract import Context
from pipeline.stages.runner import run
from pipeline.wiring.redis import redis_ledger

pytestmark = pytest.mark.kafka

NOW = 1_700_000_000.0


@pytest.fixture
def settings(broker: Broker) -> Settings:
    return fresh_settings(broker, partitions=2)


def bury(
    settings: Settings,
    number: int,
    *,
    stage: str = "group",
    reason: str = "internal",
    detail: str = "KeyError: x",
    project_id: int = 1,
    at: float = NOW,
) -> None:
    """Put dead letters on the topic as a worker would."""
    producer = Producer({"bootstrap.servers": settings.kafka.brokers})
    events = generate_events(1, frames=1)
    for offset in range(number):
        _, body = ingest_message(next(events), project_id, start_time=NOW)
        record = make_record(body, Form.MSGPACK, settings.kafka.events_in, Token("first-topic", 1, offset), NOW, {})
        output = dead_letter(DeadLetter(record, stage, reason, detail), {}, settings, at)
        producer.produce(settings.kafka.dead_letters, output.value, headers=output.headers)
    producer.flush()


def listed(settings: Settings, wanted: Wanted | None = None) -> list[StoredLetter]:
    topic = DeadLetterTopic(settings)
    try:
        done = topic.replayed()
        return [letter for letter in topic.letters(wanted or Wanted()) if letter.place not in done]
    finally:
        topic.close()


def replay(settings: Settings, wanted: Wanted | None = None) -> Replayed:
    return replay_letters(settings, wanted or Wanted(), lambda _: None)


def tokens(messages: list[Message]) -> list[bytes]:
    return sorted(dict(message.headers() or ())[TOKEN_HEADER] for message in messages)


def test_filters_by_stage_reason_project_and_time(settings: Settings) -> None:
    bury(settings, 2)
    bury(settings, 3, stage="decode", reason="invalid_json")
    bury(settings, 4, project_id=2)
    bury(settings, 5, at=NOW + 100)
    assert len(listed(settings)) == 14
    assert len(listed(settings, Wanted(stage="decode"))) == 3
    assert len(listed(settings, Wanted(reason="internal"))) == 11
    assert len(listed(settings, Wanted(project_id=2))) == 4
    assert len(listed(settings, Wanted(since=NOW + 50))) == 5
    assert len(listed(settings, Wanted(until=NOW + 50))) == 9
    one = listed(settings)[7].place
    assert [letter.place for letter in listed(settings, Wanted(places=frozenset({one})))] == [one]


def test_the_list_prints_a_detail_that_looks_like_markup(settings: Settings, tmp_path: Path) -> None:
    bury(settings, 1, detail="KeyError: '[/red]'")
    file = tmp_path / "settings.toml"
    kafka = settings.kafka
    file.write_text(f'[kafka]\nbrokers = "{kafka.brokers}"\ndead_letters = "{kafka.dead_letters}"\n')
    listing = pipeline("dead-letters", "list", "--settings", file)
    assert "KeyError: '[/red]'" in listing.stdout, listing.stderr


def test_an_empty_topic_has_none(settings: Settings) -> None:
    assert listed(settings) == []
    assert replay(settings) == Replayed(0, 0)
    assert listed(settings, Wanted(places=frozenset({LetterAddress(0, 7)}))) == []


def test_each_comes_back_once_with_its_first_token(broker: Broker, settings: Settings) -> None:
    bury(settings, 10)
    bodies = sorted(letter.body for letter in listed(settings))
    assert replay(settings).letters == 10
    assert replay(settings) == Replayed(0, 10)
    returned = read_all(broker, settings.kafka.events_in)
    assert sorted(message.value() or b"" for message in returned) == bodies
    assert tokens(returned) == sorted(f"first-topic/1/{offset}".encode() for offset in range(10))
    assert listed(settings) == []


def test_filters_do_not_pass_over_the_others(settings: Settings) -> None:
    bury(settings, 3)
    bury(settings, 2, stage="decode")
    assert replay(settings, Wanted(stage="decode")).letters == 2
    assert len(listed(settings)) == 3
    assert replay(settings).letters == 3


def test_a_mark_stands_behind_its_dead_letter_on_the_same_partition(broker: Broker, settings: Settings) -> None:
    """Retention deletes a partition from its front: elsewhere, a mark could go first, and its dead letter come back again."""
    bury(settings, 40)
    replay(settings)
    marks = [
        (read_mark(dict(message.headers() or ())), LetterAddress(message.partition() or 0, message.offset() or 0))
        for message in read_all(broker, settings.kafka.dead_letters)
    ]
    stood = [(letter, own) for letter, own in marks if letter is not None]
    assert len(stood) == 40
    assert all(letter.partition == own.partition and letter.offset < own.offset for letter, own in stood)
    assert {own.partition for _, own in stood} == {0, 1}


def test_many_large_ones_come_back_in_bounded_memory(broker: Broker, settings: Settings) -> None:
    """All of them at once are more than the client's queue takes."""
    number, size = 40, 5_000_000
    producer = Producer({"bootstrap.servers": settings.kafka.brokers, "message.max.bytes": 10_000_000, "compression.type": "lz4"})
    for _ in range(number):
        producer.produce(settings.kafka.dead_letters, b"x" * size, headers=[("stage", b"decode")])
        producer.flush()
    assert replay(settings) == Replayed(number, 0)
    assert sum(len(message.value() or b"") for message in read_all(broker, settings.kafka.events_in)) == number * size


class Interrupted(Exception):  # noqa: N818 -- as ctrl-C is
    pass


def test_an_interrupted_replay_is_taken_up_where_it_stopped(
    broker: Broker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(settings, 25)
    monkeypatch.setattr(dead_letter_topic, "LETTERS_PER_TRANSACTION", 10)

    def interrupt(progress: Replayed) -> None:
        if progress.letters >= 10:
            raise Interrupted

    with pytest.raises(Interrupted):
        replay_letters(settings, Wanted(), interrupt)
    assert replay(settings) == Replayed(15, 10)
    assert len(tokens(read_all(broker, settings.kafka.events_in))) == 25


def test_killed_in_the_middle_of_a_transaction_nothing_comes_back_twice(
    broker: Broker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(settings, 5)

    class Dying(Producer):  # type: ignore[misc]  # the client has no types here
        def commit_transaction(self, *_: object) -> None:
            self.flush()
            raise Interrupted

    with monkeypatch.context() as patched:
        patched.setattr(dead_letter_topic, "Producer", Dying)
        with pytest.raises(Interrupted):
            replay(settings)
    assert replay(settings) == Replayed(5, 0)
    assert len(read_all(broker, settings.kafka.events_in)) == 5


def test_two_replays_at_once_bring_back_each_once(broker: Broker, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    bury(settings, 25)
    monkeypatch.setattr(dead_letter_topic, "LETTERS_PER_TRANSACTION", 10)
    other: list[Replayed] = []

    def start_another(progress: Replayed) -> None:
        if progress.letters == 10 and not other:
            other.append(replay(settings))

    with pytest.raises(KafkaException):
        replay_letters(settings, Wanted(), start_another)
    assert other == [Replayed(15, 10)]
    assert len(tokens(read_all(broker, settings.kafka.events_in))) == 25


def test_marks_behind_a_transaction_that_is_still_open_count(broker: Broker, settings: Settings) -> None:
    """A worker that was killed leaves such a one: what stands behind it is committed, and no reader sees it yet."""
    bury(settings, 25)
    killed = Producer(
        {"bootstrap.servers": broker.address, "transactional.id": settings.kafka.consumer_group, "transaction.timeout.ms": 60_000}
    )
    killed.init_transactions(10)

    killed.begin_transaction()
    for partition in range(2):
        killed.produce(settings.kafka.dead_letters, b"never committed", partition=partition)
    killed.flush(10)
    ends = threading.Timer(3.0, killed.abort_transaction)
    ends.start()
    assert replay(settings) == Replayed(25)
    assert replay(settings) == Replayed(0, 25)
    ends.join()
    assert len(tokens(read_all(broker, settings.kafka.events_in))) == 25


def test_a_limit_leaves_the_others_and_a_preview_replays_nothing(broker: Broker, settings: Settings) -> None:
    bury(settings, 10)
    bury(settings, 3, stage="decode")
    seen: list[str] = []
    assert preview_replay(settings, Wanted(), lambda letter: seen.append(letter.text("stage"))) == Replayed(13)
    assert Counter(seen) == {"group": 10, "decode": 3}
    assert preview_replay(settings, Wanted(), lambda _: None, limit=4) == Replayed(4, has_more=True)
    assert read_all(broker, settings.kafka.events_in) == []
    assert replay_letters(settings, Wanted(), lambda _: None, limit=4) == Replayed(4, has_more=True)
    assert len(read_all(broker, settings.kafka.events_in)) == 4
    rest = replay_letters(settings, Wanted(), lambda _: None, limit=9)
    assert (rest.letters, rest.has_more) == (9, False)
    assert len(tokens(read_all(broker, settings.kafka.events_in))) == 13


def test_a_rate_spreads_a_replay_over_time(broker: Broker, settings: Settings) -> None:
    bury(settings, 7)
    sent: list[int] = []
    started = time.monotonic()
    replay_letters(settings, Wanted(), lambda done: sent.append(done.letters), per_second=2.5)
    assert time.monotonic() - started >= 2.4, "six letters come before the last one"
    assert sent == [3, 6, 7]
    assert len(read_all(broker, settings.kafka.events_in)) == 7


def test_the_command_previews_and_names_a_stage_that_is_not_there(settings: Settings, tmp_path: Path) -> None:
    bury(settings, 3)
    file = tmp_path / "settings.toml"
    kafka = settings.kafka
    file.write_text(
        f'[kafka]\nbrokers = "{kafka.brokers}"\ndead_letters = "{kafka.dead_letters}"\nevents_in = "{kafka.events_in}"\n'
        f'consumer_group = "{kafka.consumer_group}"\n'
    )

    def command(*arguments: str) -> tuple[int, str, str]:
        done = pipeline("dead-letters", "replay", "--settings", file, *arguments)
        return done.returncode, done.stdout, done.stderr

    assert command("--dry-run") == (0, "       3  group: internal\nwould replay 3; 0 had been replayed before\n", "")
    assert command("--stage", "grup") == (2, "", "pipeline: there is no stage 'grup'; did you mean group?\n")
    code, said, _ = command("--stage", "group", "--limit", "2", "--rate", "100")
    assert (code, said) == (0, "replayed 2; 0 had been replayed before\nmore are left: --limit 2 was reached\n")
    assert len(listed(settings)) == 1


def test_what_was_cut_is_left_where_it_is(broker: Broker, settings: Settings) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    producer.produce(settings.kafka.dead_letters, b"the beginning", headers=[("stage", b"decode"), ("truncated-from", b"99")])
    producer.flush()
    assert replay(settings) == Replayed(0, 0, 1)
    assert read_all(broker, settings.kafka.events_in) == []


@pytest.fixture
def redis_url() -> Iterator[str]:
    with EmbeddedRedis() as server:
        yield server.url


@pytest.mark.redis
def test_a_replayed_event_is_no_duplicate_of_itself_and_is_charged_once(
    broker: Broker, settings: Settings, redis_url: str, tmp_path: Path
) -> None:
    """It claimed its id and charged its quota before it died; the worker meets it again elsewhere on the topic."""
    from support.kafka_broker import admin

    from pipeline.quotas.ledger import Polled

    rules_dir = tmp_path / "rules"
    (rules_dir / "default").mkdir(parents=True)
    (rules_dir / "default" / "quotas.toml").write_text(
        '[[quota]]\nid = "q"\nscope = "project"\ncategories = ["error"]\nlimit = 1\nwindow_s = 3600\nreason_code = "over"\n'
    )
    rules = RulesFolder(rules_dir).current
    ledger = redis_ledger(connect(redis_url, 5.0), settings)
    client = admin(broker)
    topic = topic_id(client, settings.kafka.events_in)
    _, body = ingest_message(next(generate_events(1, frames=1)), 1, start_time=NOW)

    def handle(offset: int, headers: dict[str, bytes], content: bytes = body) -> list[str]:
        record = make_record(content, Form.MSGPACK, "in", Token(topic, 0, offset), NOW, headers)
        polled = (Polled(topic, 0, offset, offset + 1),)
        result = run([record], Context(now=NOW, rules=rules, ledger=ledger, polled=polled), ERRORS)
        return [item.event_id for item in result.events] + [str(o.reason) for o in result.outcomes if o.reason]

    (event_id,) = handle(5, {})
    assert handle(9, {}) == ["duplicate"]
    assert handle(10, {TOKEN_HEADER: f"{topic}/0/5".encode()}) == [event_id]
    _, another = ingest_message(next(generate_events(2, frames=1)), 1, start_time=NOW)
    assert handle(11, {}, another) == ["over"]
    ledger.close()
