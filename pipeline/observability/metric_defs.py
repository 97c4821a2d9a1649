"""Every metric: its name, kind, unit, labels, meaning, and what to do when it is high. docs/operations.md comes of it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """How a metric behaves over time."""

    COUNTER = "counter"
    """Only grows; look at its rate."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One metric. `buckets` are a histogram's upper bounds, in the metric's unit."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    meaning: str
    when_high: str
    buckets: tuple[float, ...] = ()


_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)

LAG_RECORDS = Metric(
    "pipeline_lag_records",
    Kind.GAUGE,
    "records",
    ("partition",),
    "Offsets between what is committed and the partition's end; gaps count.",
    "Grows steadily: add workers, up to one per partition. One partition only: its worker waits or is slow, see pipeline_state.",
)
LAG_SECONDS = Metric(
    "pipeline_lag_seconds",
    Kind.GAUGE,
    "seconds",
    ("partition",),
    "Age of the last committed record while there are newer ones; 0 where there are none.",
    "This is how late users see their errors. Above a minute: pipeline_state, pipeline_stage_seconds_total, then add workers.",
)
PARTITIONS = Metric(
    "pipeline_partitions_owned",
    Kind.GAUGE,
    "partitions",
    (),
    "Input partitions that this worker has.",
    "0 for minutes: more workers than partitions, or this one does not get into the group. Uneven: a rebalance is under way.",
)
STATE = Metric(
    "pipeline_state",
    Kind.GAUGE,
    "1 for the state that holds",
    ("state",),
    "What the worker is doing: starting, running, waiting (a service is away), halted (dead-letter limit), stopped.",
    "waiting: bring back the service that /ready names. halted: /ready counts what would die; roll back or mend.",
)
BATCH_RECORDS = Metric(
    "pipeline_batch_records",
    Kind.HISTOGRAM,
    "records",
    (),
    "Records of each committed batch.",
    "Always at batch.max_records means that there is a backlog: see pipeline_lag_seconds.",
    (1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000),
)
BATCH_BYTES = Metric(
    "pipeline_batch_bytes",
    Kind.HISTOGRAM,
    "bytes",
    (),
    "Bytes of each committed batch's records.",
    "Always at batch.max_bytes with few records: events are large; look for the project that sends them.",
    (1e3, 1e4, 1e5, 1e6, 2e6, 4e6, 8e6, 16e6),
)
BATCH_SECONDS = Metric(
    "pipeline_batch_seconds",
    Kind.HISTOGRAM,
    "seconds",
    ("part",),
    "Time of each committed batch: `run` is the stages with Redis and artifacts, `commit` is Kafka's transaction.",
    "run: see pipeline_stage_seconds_total. commit: the broker is slow; look at its disks and its request queue.",
    _SECONDS,
)
STAGE_SECONDS = Metric(
    "pipeline_stage_seconds",
    Kind.COUNTER,
    "seconds",
    ("stage",),
    "Time spent in each stage.",
    "admit, count: Redis is slow. symbolicate: artifacts come slowly, or minified files are hard. group: new rules are costly.",
)
RECORDS = Metric(
    "pipeline_records",
    Kind.COUNTER,
    "records",
    (),
    "Records whose batch was committed.",
    "Its rate is the throughput; twice the usual rate is somebody's error storm, see pipeline_outcomes_total and the quotas.",
)
EVENTS = Metric(
    "pipeline_events",
    Kind.COUNTER,
    "events",
    (),
    "Events on the storage topic.",
    "Follows pipeline_records_total; the difference is in pipeline_outcomes_total and pipeline_dead_letters_total.",
)
NEW_GROUPS = Metric(
    "pipeline_new_groups",
    Kind.COUNTER,
    "groups",
    (),
    "Events that were the first of their group.",
    "A jump after a change of rules is a regrouping; otherwise one project makes fingerprints of changing values.",
)
OUTCOMES = Metric(
    "pipeline_outcomes",
    Kind.COUNTER,
    "quantity of the category",
    ("outcome", "reason", "category"),
    "What became of what was received. Sum over all = received, dead letters apart.",
    "rate_limited: a quota binds, `pipeline quotas show`. invalid: an SDK or a proxy breaks events, by reason.",
)
DEAD_LETTERS = Metric(
    "pipeline_dead_letters",
    Kind.COUNTER,
    "records",
    ("stage", "reason"),
    "Records on the dead-letter topic.",
    "`pipeline dead-letters list --reason R`, then show one. reason internal is a bug of ours: mend it, deploy, replay them.",
)
BATCHES_DROPPED = Metric(
    "pipeline_batches_dropped",
    Kind.COUNTER,
    "batches",
    ("why",),
    "Batches that were read again: commit (the transaction failed), stale (another worker has gone past).",
    "A few at each deploy are normal. Steady commit: see the log. Steady stale: `pipeline offsets show` compares both sides.",
)
KAFKA_ERRORS = Metric(
    "pipeline_kafka_errors",
    Kind.COUNTER,
    "errors",
    ("error",),
    "What the client reported, by librdkafka's name; it retries by itself.",
    "_TRANSPORT and _ALL_BROKERS_DOWN: network or broker. _FENCED: a long stop, or two workers on a slot. "
    "_BAD_COMPRESSION: one partition stands still at the offset in the log; `pipeline offsets reset` moves it past that record.",
)
SERVICE_ERRORS = Metric(
    "pipeline_service_errors",
    Kind.COUNTER,
    "errors",
    ("service",),
    "Calls that failed for a service that was away, such as redis or artifacts; the batch waits.",
    "Bring the service back; nothing else is needed, the partitions go on by themselves.",
)
CACHE_LOOKUPS = Metric(
    "pipeline_cache_lookups",
    Kind.COUNTER,
    "look-ups",
    ("cache", "result"),
    "Look-ups of each memory, by hit and miss: stacks (what frames group by), modules (built files with their maps).",
    "Misses above a third: the memory is too small for this worker's projects.",
)
FRAMES = Metric(
    "pipeline_frames",
    Kind.COUNTER,
    "frames",
    ("project_id", "release", "resolved"),
    "Minified frames that were looked up, by whether source maps resolved them; too many releases add up as `(others)`.",
    "A release with a low share of `yes`: `pipeline sourcemaps check EVENT` names what is missing and the action that mends it.",
)
DATA_LOSSES = Metric(
    "pipeline_redis_data_losses",
    Kind.COUNTER,
    "losses",
    (),
    "How often Redis came back without data that it had acknowledged.",
    "Above 0: quotas and group counts are short by what was lost. Check appendfsync always and the failover.",
)
UNCOUNTED = Metric(
    "pipeline_uncounted_events",
    Kind.COUNTER,
    "events",
    (),
    "Events that passed without being counted, because quotas.on_unavailable is `accept` and Redis was away.",
    "Quotas did not bind for these. Bring Redis back.",
)
RULES_RELOADS = Metric(
    "pipeline_rules_reloads",
    Kind.COUNTER,
    "reloads",
    ("result",),
    "Changes of the rules folder: loaded, or refused because a file does not parse.",
    "refused: the last good rules stay in force; `pipeline rules check` names file and line.",
)
REPORTS_SUPPRESSED = Metric(
    "pipeline_reports_suppressed",
    Kind.COUNTER,
    "reports",
    (),
    "Reports of our own failures that were not sent because there were too many.",
    "The log has them all.",
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All of the above, in this order."""
