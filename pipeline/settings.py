"""Every setting, its default and its unit. The only file that reads the environment.

A TOML file comes first, then the environment, then flags; the later wins.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the settings file; a name that is not listed here is refused."""


Name = Annotated[str, Meta(min_length=1)]
Bytes = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class Input(_Section, frozen=True):
    """What is read, and how large it may be."""

    max_record_bytes: Bytes = 10_000_000
    """A larger record becomes a dead letter; a replay does not hold it in memory, a worker up to what its topic takes."""
    unknown_projects: Literal["accept", "reject"] = "accept"
    """What happens to a project without a folder under rules/projects: the default's rules, or outcome invalid (project_id)."""


class Batch(_Section, frozen=True):
    """How much is handled together. A worker cuts by all three; replay never by time."""

    max_records: Count = 1_000
    max_bytes: Bytes = 8_000_000
    max_wait_ms: Count = 100


class Redis(_Section, frozen=True):
    """Where quotas, duplicates and counts are kept."""

    url: str | None = None
    """redis://, rediss:// (TLS; `?ssl_ca_certs=FILE` names an authority of your own) or unix://. None: replay starts its own
    server for the run."""
    timeout_s: Seconds = 5.0


class Quotas(_Section, frozen=True):
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


class Artifacts(_Section, frozen=True):
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


class Kafka(_Section, frozen=True):
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


class DeadLetters(_Section, frozen=True):
    """When too many dead letters mean that something else is wrong, a bad deploy perhaps."""

    max_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.25
    """Above this part of the records within the window, consumption stops; 1 never stops it."""
    window_s: Seconds = 60.0
    min_count: Count = 100
    """Fewer dead letters than this within the window never stop anything."""


class Web(_Section, frozen=True):
    """The worker's web views: health, metrics, live counts."""

    host: str = "0.0.0.0"  # noqa: S104 -- probes and Prometheus come from outside the container
    port: Annotated[int, Meta(ge=1, le=65_535)] = 6066
    live_counts: bool = True
    """Count the outcomes of all workers by minute, for the view of live counts; costs some 200 us of CPU per outcome record."""


class Reports(_Section, frozen=True):
    """Where the pipeline reports its own failures and what it logs."""

    sentry_dsn: str | None = None
    """None: nowhere. Events that this project sends here are processed, and never reported about."""
    environment: str = "production"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """debug has a line per batch; no level has a line per event."""
    log_form: Literal["json", "text"] = "json"


class Settings(_Section, frozen=True):
    """All sections. `rules` is the rules folder."""

    rules: str = "rules"
    input: Input = Input()
    batch: Batch = Batch()
    redis: Redis = Redis()
    quotas: Quotas = Quotas()
    artifacts: Artifacts = Artifacts()
    kafka: Kafka = Kafka()
    dead_letters: DeadLetters = DeadLetters()
    web: Web = Web()
    reports: Reports = Reports()


PREFIX = "PIPELINE_"
SLIP_LIKENESS = 0.92
"""How like a setting's variable another must be, from 0 to 1, to be taken for a slip of the finger."""

SHORT_VARIABLES: dict[str, tuple[str, ...]] = {
    "PIPELINE_ARTIFACTS": ("artifacts", "url"),
    "PIPELINE_CONSUMER_GROUP": ("kafka", "consumer_group"),
    "PIPELINE_SLOT": ("kafka", "slot"),
    "PIPELINE_SENTRY_DSN": ("reports", "sentry_dsn"),
}
"""Environment variables that have a shorter name than their setting's path makes."""


def variables() -> dict[str, tuple[str, ...]]:
    """Give the environment variable of every setting: PIPELINE_ and its path in capitals, and the short ones."""
    found: dict[str, tuple[str, ...]] = {}
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.default, _Section):
            found |= {f"{PREFIX}{field.name}_{own}".upper(): (field.name, own) for own in field.default.__struct_fields__}
        else:
            found[f"{PREFIX}{field.name}".upper()] = (field.name,)
    return found | SHORT_VARIABLES


class SettingsError(Exception):
    """A settings file, variable or flag that cannot be used; the text names it."""


def load_settings(
    file: Path | None, flags: Mapping[tuple[str, ...], Any] | None = None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """Read the settings from file, environment and flags. Raises SettingsError."""
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise SettingsError(f"{file}: {error.strerror}") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            raise SettingsError(f"{file}: {error}") from None
        _convert(values, str(file))
    known = variables()
    for variable in sorted(environment.keys() - known.keys()):
        # Others have variables under our prefix too, such as Kubernetes for a service of our name.
        if variable.startswith(PREFIX) and (meant := get_close_matches(variable, known, 1, SLIP_LIKENESS)):
            raise SettingsError(f"{variable}: no such setting; {meant[0]} is one")
    for variable, path in known.items():
        if variable in environment:
            _put(values, path, _from_text(path, environment[variable]))
            _convert(values, variable)
    for path, value in (flags or {}).items():
        if value is not None:
            _put(values, path, value)
    return _convert(values, "flags")


def _convert(values: dict[str, Any], origin: str) -> Settings:
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{origin}: {_explain(str(error))}") from None


_MISTAKE = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`")


def _explain(mistake: str) -> str:
    """Say first which setting is meant, and last what it may be, where that is a choice."""
    found = _MISTAKE.fullmatch(mistake)
    what, path = (found[1], tuple(filter(None, (found[2] or "").split(".")))) if found else (mistake, ())
    if unknown := _UNKNOWN_FIELD.fullmatch(what):
        section = _default(path)
        meant = get_close_matches(unknown[1], section.__struct_fields__, 1)
        return f"{'.'.join((*path, unknown[1]))}: no such setting" + (f"; {meant[0]} is one" if meant else "")
    kind = get_type_hints(type(_default(path[:-1]))).get(path[-1]) if path else None
    choices = ("true", "false") if kind is bool else get_args(kind) if get_origin(kind) is Literal else ()
    return f"{'.'.join(path) or 'settings'}: {what}" + (f"; it is one of {', '.join(choices)}" if choices else "")


def _from_text(path: tuple[str, ...], text: str) -> str | list[str]:
    """Give what a variable holds; where the setting is a list, its parts between commas."""
    return [part for each in text.split(",") if (part := each.strip())] if isinstance(_default(path), tuple) else text


def _default(path: tuple[str, ...]) -> Any:
    """Give what a setting, or a section, is by itself."""
    return functools.reduce(getattr, path, Settings())


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value
