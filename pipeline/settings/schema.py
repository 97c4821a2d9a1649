"""All settings with their defaults. The docstring below a setting becomes its line in docs/configuration.md.

Names end in the unit: `_s` seconds, `_ms` milliseconds, `_bytes` bytes.
This file is long because it is the list of all settings, and has next to no logic.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the settings file. Names that are not listed here are refused."""


Name = Annotated[str, Meta(min_length=1)]
Bytes = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
Rate = Annotated[float, Meta(gt=0)]


class InputSettings(Section, frozen=True):
    """What is read, and how large it may be."""

    max_record_bytes: Bytes = 10_000_000
    """A larger record becomes a dead letter. A replay never holds it in memory; a worker holds what the topic allows."""
    unknown_projects: Literal["accept", "reject"] = "accept"
    """For events of a project that has no folder in rules/projects. accept: the default rules hold for it. reject: its events get
    the outcome invalid with the reason project_id."""


class BatchSettings(Section, frozen=True):
    """How much is processed together. A worker ends a batch at whichever limit comes first; a replay ignores the time."""

    max_records: Count = 1_000
    max_bytes: Bytes = 8_000_000
    max_wait_ms: Count = 100
    """How long a worker waits for a batch to fill."""


class RedisSettings(Section, frozen=True):
    """The server that holds quotas, duplicates and counts."""

    url: str | None = None
    """redis://, rediss:// (TLS; `?ssl_ca_certs=FILE` names your own certificate authority) or unix://; redis+cluster:// for a
    cluster. None: a replay starts a server of its own for the run, and a worker refuses to start."""
    timeout_s: Seconds = 5.0
    """How long a call may take before Redis counts as unavailable."""


class QuotaSettings(Section, frozen=True):
    """How events are counted, and what happens while Redis is unavailable."""

    on_unavailable: Literal["wait", "accept"] = "wait"
    """wait: workers pause until Redis is back, and nothing is lost. accept: events pass without being counted, and the metric
    pipeline_uncounted_events_total counts them."""
    duplicates: bool = True
    """Whether an event is refused if its project has sent an event with the same id before."""
    duplicate_window_s: Annotated[int, Meta(ge=1, le=1_036_800)] = 3_600
    """How long an event id is remembered, at most twelve days. A million ids take at most 160 MB of Redis memory."""
    ledger_s: Annotated[int, Meta(ge=60)] = 7 * 86_400
    """How long decisions about records are kept. It must be at least as long as the input topic keeps records."""
    late_s: Annotated[int, Meta(ge=60)] = 3_600
    """How long counters and event ids are kept after their window has ended. A backlog up to this age is counted exactly."""


class ArtifactSettings(Section, frozen=True):
    """Where source maps are stored, and what looking them up may cost."""

    url: str | None = None
    """A folder, or the URL of an object store (s3://, gs://, az://). None: symbolication is off."""
    engine: Literal["symbolic", "sourcemap"] = "symbolic"
    """symbolic finds the names of functions by their scopes. sourcemap is written in Python and finds positions only."""
    memory_bytes: Bytes = 256_000_000
    """The most memory for parsed maps and built files in a worker. A map counts as five times the size of its text."""
    function_names: Literal["minified", "original"] = "minified"
    """minified: names come from the scopes of the built file, as Sentry finds them. original: they come from the text of the
    original file if the map carries it, which also names inlined functions and rewritten async functions."""
    max_file_bytes: Bytes = 32_000_000
    """Larger maps and built files are not used. Parsing a map of 14 MB needs 220 MB for a moment."""
    poll_interval_s: Seconds = 5.0
    """How soon a new or removed bundle is noticed, even if its release was looked up before and not found."""
    relist_interval_s: Seconds = 60.0
    """Object stores only: how soon a bundle is noticed that was not added by `pipeline sourcemaps add`."""
    retry_failed_s: float = 60.0
    """How long a temporary failure is remembered, such as a store that does not answer, before it is tried again."""
    store_timeout_s: Seconds = 10.0
    """Object stores only: how long a request may take."""
    cache_dir: str = "~/.cache/event-pipeline/artifacts"
    """Object stores only: the folder that keeps what was read, for all workers of this machine."""
    cache_bytes: Bytes = 4_000_000_000
    """The most that `cache_dir` may hold."""
    parse_cpu_s: Seconds = 5.0
    """The most CPU time that a child process may take to parse an unknown file. A file that needs more is used without the names
    of its functions."""
    parse_memory_bytes: Bytes = 500_000_000
    """The most address space that the child process may take. 500 MB are enough for a map of 25 MB."""
    retention_days: Count = 90
    """`pipeline sourcemaps prune` removes bundles that are older."""
    scrape_hosts: tuple[str, ...] = ()
    """Hosts from which missing files may be fetched over https, such as `*.example.com`. Empty: nothing is fetched."""
    scrape_timeout_s: Seconds = 10.0
    """How long fetching one file may take."""


class KafkaSettings(Section, frozen=True):
    """The broker, the topics, and how a worker takes part in its consumer group."""

    brokers: Name = "127.0.0.1:9092"
    """host:port of one or more brokers, separated by commas."""
    consumer_group: Name = "pipeline"
    events_in: Name = "ingest-events"
    events_out: Name = "events"
    outcomes: Name = "outcomes"
    outcomes_billing: Name | None = None
    """A separate topic for accepted and rate-limited outcomes. None: all outcomes go to `outcomes`."""
    dead_letters: Name = "ingest-events-dlq"
    events_out_dead_letters: Name = "events-dlq"
    """Where the store puts messages of `events_out` that cannot become a row."""
    outcomes_dead_letters: Name = "outcomes-dlq"
    """The same for messages of `outcomes` and `outcomes_billing`."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ssl_ca_file: str | None = None
    """A PEM file with the certificate authorities that sign the brokers' certificates. None: those of the system."""
    ssl_certificate_file: str | None = None
    ssl_key_file: str | None = None
    ssl_key_password: str | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = None
    """Rather set PIPELINE_KAFKA_SASL_PASSWORD than write it into a file."""

    slot: Name | None = None
    """A name that is unique among the workers and stays over a restart, such as the name of the worker's pod in a StatefulSet.
    The transactional id is made of it, so a restarted worker ends at once the transaction that it left open. None: a random name;
    after a kill -9, readers of committed records wait for `transaction_timeout_s` and the broker's next sweep (10 s). Two workers
    must never share a slot."""
    static_membership: bool = False
    """Whether a worker keeps its partitions over a restart that is shorter than `session_timeout_s`. If the worker leaves for
    good, they stand still for that long. Needs `slot`."""
    session_timeout_s: Annotated[float, Meta(ge=1, le=1_800)] = 10.0
    """A worker that the broker does not hear of for this long loses its partitions. Brokers allow 6 to 1,800 by default."""
    transaction_timeout_s: Seconds = 10.0
    """The broker aborts a transaction that is open for longer. Only producing and committing happen inside one."""
    max_poll_interval_s: Seconds = 300.0
    """A worker loses its partitions if a batch takes longer."""
    metadata_refresh_s: Seconds = 30.0
    """How soon added partitions are noticed. The client's own default is 300."""
    retry_backoff_ms: Count = 10
    """The pause between retries of the client. Transactions in a row take 107 ms each at the client's default of 100, and 28 ms
    at 10."""
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "lz4"
    prefetch_bytes: Bytes = 16_000_000
    """How much is read ahead of the present batch, over all partitions. The client's own default is 64 MB."""
    max_output_bytes: Bytes = 25_000_000
    """A larger record is not produced, since it would abort the whole transaction; its event becomes a dead letter."""
    replication_factor: Count = 1
    """How many copies of each partition there are of the topics that `pipeline topics create` makes."""

    def __post_init__(self) -> None:
        """Refuse a topic that is named twice. What is written would be read again as input."""
        own = ("events_in", "events_out", "outcomes", "dead_letters", "events_out_dead_letters", "outcomes_dead_letters")
        names = {name: getattr(self, name) for name in own}
        if self.outcomes_billing != self.outcomes:
            names["outcomes_billing"] = self.outcomes_billing
        for (one, topic), (other, same) in itertools.combinations(names.items(), 2):
            if topic == same:
                raise ValueError(f"{one} and {other} are the same topic, {topic}")


class DeadLetterSettings(Section, frozen=True):
    """How many dead letters stop a worker. So many mean that something else is wrong, such as a faulty release."""

    max_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.25
    """The worker stops if more than this part of the records in the window become dead letters. 1 never stops it."""
    window_s: Seconds = 60.0
    min_count: Count = 100
    """The worker never stops for fewer dead letters in the window."""


class SupervisorSettings(Section, frozen=True):
    """The process that starts a worker, and starts it again if a record has killed or hung it."""

    enabled: bool = True
    """Whether a worker has one. Without it, a record that kills its worker kills the next one too."""
    hang_s: Seconds = 120.0
    """A worker that stays in one stage with one batch for longer is killed and started again. It must be less than
    `kafka.max_poll_interval_s`, and than what a liveness probe allows."""


class WebSettings(Section, frozen=True):
    """The worker's web views: /health, /ready, /metrics and /counts."""

    host: Name = "127.0.0.1"
    """The address that the web views listen on. They ask for no password, so other machines reach them only if it is set, for
    instance to 0.0.0.0 in a container whose probes and metrics are read from outside."""
    port: Annotated[int, Meta(ge=1, le=65_535)] = 6066
    live_counts: bool = True
    """Whether /counts is served: the outcomes of all workers by minute. A worker reads them only while it is asked, which costs
    some 5 us of CPU per outcome."""


class ApiSettings(Section, frozen=True):
    """The endpoints under /api/0/: where `pipeline api` listens, and who may use them there, in the gateway and in serve."""

    listen: Name = "127.0.0.1:3001"
    """host:port of `pipeline api`. TLS is the business of a proxy in front."""
    public_url: str | None = None
    """The URL that people reach the API by, such as https://errors.example.com. None: http:// and the Host it asked."""
    tokens: tuple[str, ...] = ()
    """Bearer tokens, each of which may do everything. Empty: only this machine itself may, by a loopback address."""


class ClickHouseSettings(Section, frozen=True):
    """The database of the store, the read API and `pipeline serve`."""

    url: str | None = None
    """chdb:///absolute/path for the engine inside the process, or http[s]://user:password@host:8123/database for a server. One
    process at a time may have a chdb path."""
    timeout_s: Seconds = 60.0
    """How long a statement may take on a server before it counts as unavailable."""
    memory_bytes: Bytes = 2_000_000_000
    """chdb only: the most memory that the engine takes for queries and inserts together."""


class StoreSettings(Section, frozen=True):
    """How `pipeline store` brings messages into ClickHouse."""

    consumer_group: Name = "pipeline-store"
    """Each topic has a group of its own, whose name is this one, a hyphen and the topic's."""
    max_records: Count = 10_000
    """The most messages of one insert. Small inserts cost the server merges."""
    max_bytes: Bytes = 64_000_000
    max_wait_ms: Count = 500
    """How long a batch may take to fill. A message is visible this much later."""


class ServeSettings(Section, frozen=True):
    """`pipeline serve`: everything in one place."""

    data: Name = "data"
    """The folder of all that is kept: spool, database, counters, source maps, dead letters."""


class GatewaySettings(Section, frozen=True):
    """The front door for SDKs and sentry-cli."""

    listen: Name = "127.0.0.1:3000"
    """host:port, such as 0.0.0.0:3000 or [::1]:3000. TLS is the business of a proxy in front."""
    spool: Name = "spool"
    """The folder that keeps what was accepted until Kafka has it. It must be on a disk that survives the process."""
    spool_segment_bytes: Bytes = 64_000_000
    """A segment of the spool is deleted as a whole, once all of it is in Kafka."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks such as 10.0.0.0/8, whose X-Forwarded-For header is believed. Empty: a sender's address is its connection's."""
    public_url: str | None = None
    """The URL that sentry-cli reaches the gateway by, such as https://errors.example.com. None: http:// and the Host it asked."""
    header_timeout_s: Seconds = 10.0
    """A connection whose next request's header has not come within this time is closed, an idle one too."""
    body_timeout_s: Seconds = 10.0
    """A sender whose body pauses for so long is cut off."""
    min_body_bytes_per_s: Bytes = 1_000
    """A body that comes slower than this, on average from its sixth second on, is cut off."""
    memory_bytes: Bytes = 64_000_000
    """What all bodies that are arriving may take in memory together; beyond it, they go to the spool's disk as they come."""
    max_requests_per_s_by_key: Rate | None = None
    """A key that sends more, on average over two seconds, is answered with 429. None: no limit. Each gateway counts by itself."""
    max_requests_per_s_by_address: Rate | None = None
    """The same for each address."""
    max_connections: Count = 10_000
    """Connections that are served at a time, idle ones included; further ones wait to be accepted."""


class ReportSettings(Section, frozen=True):
    """Where the pipeline reports its own failures, and what it logs."""

    sentry_dsn: str | None = None
    """The Sentry project that gets reports of failures. None: none are sent. No failure is reported for events of this project
    itself, so that reports cannot cause reports."""
    environment: str = "production"
    """The environment that reports name."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """debug adds a line for each batch. No level has a line for each event."""
    log_form: Literal["json", "text"] = "json"
    """json: one object a line. text: lines for people."""


class Settings(Section, frozen=True):
    """All sections, and the rules folder."""

    rules: str | None = None
    """The rules folder. None: `./rules` if there is one, else the rules that the package ships."""
    input: InputSettings = InputSettings()
    batch: BatchSettings = BatchSettings()
    redis: RedisSettings = RedisSettings()
    quotas: QuotaSettings = QuotaSettings()
    artifacts: ArtifactSettings = ArtifactSettings()
    kafka: KafkaSettings = KafkaSettings()
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
    web: WebSettings = WebSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    store: StoreSettings = StoreSettings()
    serve: ServeSettings = ServeSettings()
    gateway: GatewaySettings = GatewaySettings()
    api: ApiSettings = ApiSettings()
    reports: ReportSettings = ReportSettings()
