"""Every setting, its default and its unit."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the settings file; a name that is not listed here is refused."""


Name = Annotated[str, Meta(min_length=1)]
Bytes = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class InputSettings(Section, frozen=True):
    """What is read, and how large it may be."""

    max_record_bytes: Bytes = 10_000_000
    """A larger record becomes a dead letter; a replay does not hold it in memory, a worker up to what its topic takes."""
    unknown_projects: Literal["accept", "reject"] = "accept"
    """What happens to a project without a folder under rules/projects: the default's rules, or outcome invalid (project_id)."""


class BatchSettings(Section, frozen=True):
    """How much is handled together. A worker cuts by all three; replay never by time."""

    max_records: Count = 1_000
    max_bytes: Bytes = 8_000_000
    max_wait_ms: Count = 100


class RedisSettings(Section, frozen=True):
    """Where quotas, duplicates and counts are kept."""

    url: str | None = None
    """redis://, rediss:// (TLS; `?ssl_ca_certs=FILE` names an authority of your own) or unix://. None: replay starts its own
    server for the run."""
    timeout_s: Seconds = 5.0


class QuotaSettings(Section, frozen=True):
    """How quotas behave when Redis does not."""

    on_unavailable: Literal["wait", "accept"] = "wait"
    """wait: partitions pause and nothing is lost. accept: events pass uncounted, and a metric says so."""
    duplicates: bool = True
    duplicate_window_s: Annotated[int, Meta(ge=1, le=12 * 86_400)] = 3_600
    """An event id seen again in its project within this time is refused. At most 160 MB of Redis memory per million ids."""
    ledger_s: Annotated[int, Meta(ge=60)] = 7 * 86_400
    """How long decisions are kept: at least as long as the input topic keeps records."""
    late_s: Annotated[int, Meta(ge=60)] = 3_600
    """A backlog as old as this is still counted exactly: so long a counter or an event id outlives its window."""


class ArtifactSettings(Section, frozen=True):
    """Where source maps come from."""

    url: str | None = None
    """A folder, or an object store's URL (s3://, gs://, az://). None: symbolication is off and adds no errors."""
    engine: Literal["symbolic", "sourcemap"] = "symbolic"
    """symbolic resolves function names by scope; sourcemap is pure Python and gives positions only."""
    memory_bytes: Bytes = 512_000_000
    """What parsed maps and built files may take in a worker; a map is counted with five times its text."""
    max_file_bytes: Bytes = 32_000_000
    """A larger map or built file is not used: parsing a map of 14 MB already takes 220 MB for a moment."""
    poll_interval_s: Seconds = 5.0
    """A bundle that comes or goes is noticed within this time, also where its release was looked up and missed before."""
    relist_interval_s: Seconds = 60.0
    """Object stores: how soon a bundle is noticed that was put there by other means than `pipeline sourcemaps add`."""
    retry_failed_s: float = 60.0
    """How long a failure that may pass (a store that does not answer, a failed fetch) is remembered."""
    store_timeout_s: Seconds = 10.0
    cache_dir: str = "~/.cache/event-pipeline/artifacts"
    """Object stores: where files that were read are kept on this machine, for all of its workers."""
    cache_bytes: Bytes = 4_000_000_000
    parse_cpu_s: Seconds = 5.0
    """What an unknown file may take in the child process that tries it; one that takes more is used without scope names."""
    parse_memory_bytes: Bytes = 4_000_000_000
    retention_days: Count = 90
    """`pipeline sourcemaps prune` removes older bundles."""
    scrape_hosts: tuple[str, ...] = ()
    """Hosts that missing files may be fetched from over https, such as `*.example.com`. Empty: nothing is fetched."""
    scrape_timeout_s: Seconds = 10.0


class KafkaSettings(Section, frozen=True):
    """The broker, the names on it, and how the worker stands in its group."""

    brokers: Name = "127.0.0.1:9092"
    """host:port, comma separated."""
    consumer_group: Name = "pipeline"
    events_in: Name = "ingest-events"
    events_out: Name = "events"
    outcomes: Name = "outcomes"
    outcomes_billing: Name | None = None
    """A topic of their own for accepted and rate-limited outcomes. None: all go to `outcomes`."""
    dead_letters: Name = "ingest-events-dlq"

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ssl_ca_file: str | None = None
    """PEM file with the authorities that sign brokers. None: the system's."""
    ssl_certificate_file: str | None = None
    ssl_key_file: str | None = None
    ssl_key_password: str | None = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = None
    """Better in PIPELINE_KAFKA_SASL_PASSWORD than in a file."""

    slot: Name | None = None
    """This worker's place among its equals, such as its StatefulSet pod's name: it makes the transactional id, so that a
    restarted worker ends what it left open at once. None: a random one, and readers of committed records wait
    `transaction_timeout_s` and the broker's sweep (10 s) after a kill -9. Two workers must never share one."""
    static_membership: bool = False
    """The group remembers the slot over a restart shorter than `session_timeout_s`, and moves no partitions. The price: they
    stand still for that long when the worker leaves for good. Needs `slot`."""
    session_timeout_s: Annotated[float, Meta(ge=1, le=1_800)] = 10.0
    """A worker that is silent for so long loses its partitions. Brokers take 6 to 1,800, unless they are told otherwise."""
    transaction_timeout_s: Seconds = 10.0
    """A transaction open for so long is aborted by the broker. Only produce and commit happen inside one."""
    max_poll_interval_s: Seconds = 300.0
    """A batch that takes so long loses its partitions."""
    metadata_refresh_s: Seconds = 30.0
    """Added partitions are seen within this time; the client's own default is 300."""
    retry_backoff_ms: Count = 10
    """Between retries of the client. Back-to-back transactions take 107 ms at the client's default of 100, 28 ms at 10."""
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "lz4"
    prefetch_bytes: Bytes = 16_000_000
    """How much is read ahead of the batch, over all partitions; the client's own default is 64 MB."""
    max_output_bytes: Bytes = 25_000_000
    """A larger record is never produced: one of them would abort its whole transaction."""
    replication_factor: Count = 1
    """Copies of each partition of the topics that `topics create` makes."""

    def __post_init__(self) -> None:
        """Refuse a topic that is used for two things: what comes out would come in again."""
        names = {name: getattr(self, name) for name in ("events_in", "events_out", "outcomes", "dead_letters")}
        if self.outcomes_billing != self.outcomes:
            names["outcomes_billing"] = self.outcomes_billing
        for (one, topic), (other, same) in itertools.combinations(names.items(), 2):
            if topic == same:
                raise ValueError(f"{one} and {other} are the same topic, {topic}")


class DeadLetterSettings(Section, frozen=True):
    """When too many dead letters mean that something else is wrong, a bad deploy perhaps."""

    max_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.25
    """Above this part of the records within the window, consumption stops; 1 never stops it."""
    window_s: Seconds = 60.0
    min_count: Count = 100
    """Fewer dead letters than this within the window never stop anything."""


class WebSettings(Section, frozen=True):
    """The worker's web views: health, metrics, live counts."""

    host: str = "0.0.0.0"  # noqa: S104 -- probes and Prometheus come from outside the container
    port: Annotated[int, Meta(ge=1, le=65_535)] = 6066
    live_counts: bool = True
    """Count the outcomes of all workers by minute, for the view of live counts; costs some 200 us of CPU per outcome record."""


class ReportSettings(Section, frozen=True):
    """Where the pipeline reports its own failures and what it logs."""

    sentry_dsn: str | None = None
    """None: nowhere. Events that this project sends here are processed, and never reported about."""
    environment: str = "production"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """debug has a line per batch; no level has a line per event."""
    log_form: Literal["json", "text"] = "json"


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
    web: WebSettings = WebSettings()
    reports: ReportSettings = ReportSettings()
