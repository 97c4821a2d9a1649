"""All metrics: name, kind, unit, labels, meaning, and what to do if the value is high.

The table in docs/operations.md is generated from it. This file is long because it is that table, and has no logic.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """How a metric behaves over time."""

    COUNTER = "counter"
    """Only grows. Its rate is of interest."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One metric. `buckets` are the upper bounds of a histogram, in the unit of the metric."""

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
    "Number of offsets between the committed one and the end of the partition, gaps included.",
    "If it grows steadily, add workers, up to one per partition. If one partition grows, see pipeline_state of its worker.",
)
LAG_SECONDS = Metric(
    "pipeline_lag_seconds",
    Kind.GAUGE,
    "seconds",
    ("partition",),
    "How long ago the oldest record arrived that is not committed yet; 0 if all are. The worker of partition 0 measures all.",
    "Users see errors this much later. Above a minute, see pipeline_state and pipeline_stage_seconds_total, then add workers.",
)
INPUT_BREAKS = Metric(
    "pipeline_input_breaks",
    Kind.COUNTER,
    "breaks",
    ("why",),
    "Times that a partition did not go on where its group had stopped: retention, recreated, went_backwards.",
    "Read the error line that names the partition and the offsets, and find out who deleted the topic or lost its log.",
)
INPUT_LOST = Metric(
    "pipeline_input_lost_records",
    Kind.COUNTER,
    "records",
    (),
    "Offsets that the broker deleted before the group had read them. Gaps count.",
    "These records are gone. Raise the topic's retention above the longest outage, and add workers.",
)
PARTITIONS = Metric(
    "pipeline_partitions_owned",
    Kind.GAUGE,
    "partitions",
    (),
    "Input partitions that are assigned to this worker.",
    "0 for minutes: there are more workers than partitions, or this one cannot join the group. Uneven: a rebalance is under way.",
)
STATE = Metric(
    "pipeline_state",
    Kind.GAUGE,
    "1 for the present state",
    ("state",),
    "State of the worker: starting, running, waiting (a service is unavailable), halted (too many dead letters), stopped.",
    "waiting: restore the service that /ready names. halted: /ready counts the dead letters; roll back the release or repair it.",
)
BATCH_RECORDS = Metric(
    "pipeline_batch_records",
    Kind.HISTOGRAM,
    "records",
    (),
    "Number of records in each committed batch.",
    "If it is always batch.max_records, there is a backlog: see pipeline_lag_seconds.",
    (1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000),
)
BATCH_BYTES = Metric(
    "pipeline_batch_bytes",
    Kind.HISTOGRAM,
    "bytes",
    (),
    "Size of the records in each committed batch.",
    "If it is always batch.max_bytes with few records, events are large: look for the project that sends them.",
    (1e3, 1e4, 1e5, 1e6, 2e6, 4e6, 8e6, 16e6),
)
BATCH_SECONDS = Metric(
    "pipeline_batch_seconds",
    Kind.HISTOGRAM,
    "seconds",
    ("part",),
    "Time of each committed batch. `run`: the stages, with Redis and artifacts. `commit`: the transaction of Kafka.",
    "run: see pipeline_stage_seconds_total. commit: the broker is slow, look at its disks and its request queue.",
    _SECONDS,
)
STAGE_SECONDS = Metric(
    "pipeline_stage_seconds",
    Kind.COUNTER,
    "seconds",
    ("stage",),
    "Time spent in each stage.",
    "admit, count: Redis is slow. symbolicate: the artifact store is slow. group: new rules are costly.",
)
RECORDS = Metric(
    "pipeline_records",
    Kind.COUNTER,
    "records",
    (),
    "Records in committed batches.",
    "The rate is the throughput. At twice the usual rate a project sends a flood: see pipeline_outcomes_total and the quotas.",
)
EVENTS = Metric(
    "pipeline_events",
    Kind.COUNTER,
    "events",
    (),
    "Events written to the storage topic.",
    "It follows pipeline_records_total. The difference is in pipeline_outcomes_total and pipeline_dead_letters_total.",
)
NEW_GROUPS = Metric(
    "pipeline_new_groups",
    Kind.COUNTER,
    "groups",
    (),
    "Events that were the first of their group.",
    "A jump after a change of rules comes from regrouping. Otherwise a project has fingerprints with values that keep changing.",
)
OUTCOMES = Metric(
    "pipeline_outcomes",
    Kind.COUNTER,
    "quantity of the category",
    ("outcome", "reason", "category"),
    "Outcomes of what was received. Their sum is everything received, except dead letters.",
    "rate_limited: a quota is used up, see `pipeline quotas show`. invalid: an SDK or a proxy sends damaged events.",
)
EVENTS_WITH_ERRORS = Metric(
    "pipeline_events_with_errors",
    Kind.COUNTER,
    "events",
    ("kind",),
    "Stored events with a processing error of each kind: what was repaired, refused or could not be resolved.",
    "invalid_data: an SDK sends what normalization refuses. js_no_source: a build was not uploaded. See the event's `errors`.",
)
DEAD_LETTERS = Metric(
    "pipeline_dead_letters",
    Kind.COUNTER,
    "records",
    ("stage", "reason"),
    "Records written to the dead-letter topic.",
    "`pipeline dead-letters list --reason R`, then show one. internal is a fault of the pipeline: repair it, then replay them.",
)
BATCHES_DROPPED = Metric(
    "pipeline_batches_dropped",
    Kind.COUNTER,
    "batches",
    ("why",),
    "Batches that were read again. commit: the transaction failed. stale: another worker has processed later records.",
    "A few at each deployment are normal. commit: see the log. stale: `pipeline offsets show` compares Kafka and Redis.",
)
KAFKA_ERRORS = Metric(
    "pipeline_kafka_errors",
    Kind.COUNTER,
    "errors",
    ("error",),
    "Errors that the Kafka client reported, by the name in librdkafka. The client retries by itself.",
    "_TRANSPORT and _ALL_BROKERS_DOWN: the network or the broker. _FENCED: the worker stood still, or two workers share a slot. "
    "_BAD_COMPRESSION: one partition stands still at the offset in the log; `pipeline offsets reset` moves it past that record.",
)
WORKER_DEATHS = Metric(
    "pipeline_worker_deaths",
    Kind.COUNTER,
    "deaths",
    ("cause",),
    "Workers that died by their own work and were started again: fault (SIGSEGV and the like), exit, memory, hang.",
    "The error line names stage and offsets. A record that does it three times becomes a dead letter.",
)
SERVICE_ERRORS = Metric(
    "pipeline_service_errors",
    Kind.COUNTER,
    "errors",
    ("service",),
    "Calls that failed because a service such as redis or artifacts was unavailable. The batch waits.",
    "Restore the service. Workers then go on by themselves.",
)
CACHE_LOOKUPS = Metric(
    "pipeline_cache_lookups",
    Kind.COUNTER,
    "look-ups",
    ("cache", "result"),
    "Look-ups in each cache, by hit and miss: stacks (what frames group by), modules (built files with their maps).",
    "More than a third are misses: the cache is too small for the projects of this worker.",
)
FRAMES = Metric(
    "pipeline_frames",
    Kind.COUNTER,
    "frames",
    ("project_id", "release", "resolved"),
    "Minified frames that were looked up, by whether source maps resolved them, for the 1,000 releases that sent frames last.",
    "A release has a low share of `yes`: `pipeline sourcemaps check EVENT` names what is missing and what to do.",
)
DATA_LOSSES = Metric(
    "pipeline_redis_data_losses",
    Kind.COUNTER,
    "losses",
    (),
    "How often Redis came back without data that it had acknowledged.",
    "Above 0, quotas and group counts are too low by what was lost. Check that appendfsync is always, and check the failover.",
)
UNCOUNTED = Metric(
    "pipeline_uncounted_events",
    Kind.COUNTER,
    "events",
    (),
    "Events that passed without being counted, because quotas.on_unavailable is `accept` and Redis was unavailable.",
    "Quotas did not hold for these. Restore Redis.",
)
RULES_RELOADS = Metric(
    "pipeline_rules_reloads",
    Kind.COUNTER,
    "reloads",
    ("result",),
    "Edits of the rules folder: loaded, or refused because of a mistake in a file.",
    "refused: the last good rules stay in force. `pipeline rules check` names file and line.",
)
REPORTS_SUPPRESSED = Metric(
    "pipeline_reports_suppressed",
    Kind.COUNTER,
    "reports",
    (),
    "Reports of failures that were not sent because there were too many.",
    "The log has all of them.",
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""What a worker exposes, in the order of this file."""


GATEWAY_REQUESTS = Metric(
    "pipeline_gateway_requests",
    Kind.COUNTER,
    "requests",
    ("status",),
    "Answered requests by status.",
    "4xx: see pipeline_gateway_refused_total. 503: the spool's disk is full or broken, SDKs lose these events. 500: see the log.",
)
GATEWAY_REQUEST_SECONDS = Metric(
    "pipeline_gateway_request_seconds",
    Kind.HISTOGRAM,
    "seconds",
    (),
    "Time from a request's header to its answer, the sender's own pauses included.",
    "Above 0.1 at the median: the disk syncs slowly, see pipeline_gateway_spool_sync_seconds, or the CPU is short.",
    _SECONDS,
)
GATEWAY_ACCEPTED = Metric(
    "pipeline_gateway_accepted",
    Kind.COUNTER,
    "requests",
    ("endpoint",),
    "Requests that were made durable and answered with success.",
    "The rate is what clients send. Many times the usual rate: an application fails in a loop.",
)
GATEWAY_REFUSED = Metric(
    "pipeline_gateway_refused",
    Kind.COUNTER,
    "requests",
    ("reason",),
    "Refused requests by the reason of their outcome, or by status if they belong to no project.",
    "project_id: a wrong or inactive key. cors: allowed_origins of the project. too_large: an SDK's own limits. spool: the disk.",
)
GATEWAY_SPOOL_BYTES = Metric(
    "pipeline_gateway_spool_bytes",
    Kind.GAUGE,
    "bytes",
    (),
    "Size of the spool's files: what is not yet in Kafka, and at most one segment more.",
    "Grows steadily: Kafka is away or too slow, see pipeline_state and the log. Events are refused once the disk is full.",
)
GATEWAY_SPOOL_AGE = Metric(
    "pipeline_gateway_spool_age_seconds",
    Kind.GAUGE,
    "seconds",
    (),
    "Age of the last record that reached Kafka while there are newer ones; 0 if all have reached it.",
    "Events reach the workers so much later. Above a minute: as for pipeline_gateway_spool_bytes.",
)
GATEWAY_SPOOL_SYNC = Metric(
    "pipeline_gateway_spool_sync_seconds",
    Kind.GAUGE,
    "seconds",
    (),
    "How long the last round of records took to become durable.",
    "Above 0.05: the disk is slow or shared; every answer waits for it.",
)
GATEWAY_SPOOL_BROKEN = Metric(
    "pipeline_gateway_spool_broken",
    Kind.COUNTER,
    "records",
    (),
    "Records of the spool that could not be read. Their bytes are in the spool's *.broken files.",
    "Above 0: the disk returns other bytes than were written. Replace it.",
)
GATEWAY_SHIPPED = Metric(
    "pipeline_gateway_shipped",
    Kind.COUNTER,
    "records",
    (),
    "Records of the spool whose Kafka transaction was committed.",
    "Follows pipeline_gateway_accepted_total; the difference is in the spool.",
)
GATEWAY_BODY_BYTES = Metric(
    "pipeline_gateway_body_bytes",
    Kind.GAUGE,
    "bytes",
    (),
    "Memory that arriving request bodies take.",
    "At gateway.memory_bytes: bodies go to the disk as they come. Many slow senders at once.",
)

GATEWAY_METRICS: tuple[Metric, ...] = (
    *(value for name, value in list(globals().items()) if name.startswith("GATEWAY_")),
    STATE,
    BATCHES_DROPPED,
    BATCH_SECONDS,
    EVENTS,
    OUTCOMES,
    DEAD_LETTERS,
    KAFKA_ERRORS,
    SERVICE_ERRORS,
    RULES_RELOADS,
    REPORTS_SUPPRESSED,
)
"""What a gateway exposes: its own metrics, and those of every loop."""

STORE_ROWS = Metric(
    "pipeline_store_rows",
    Kind.COUNTER,
    "rows",
    ("topic",),
    "Messages of a topic that are durable as rows.",
    "",
)
STORE_BATCH_SECONDS = Metric(
    "pipeline_store_batch_seconds",
    Kind.HISTOGRAM,
    "seconds",
    ("topic", "step"),
    "How long a batch took: run makes the rows, commit fixes the bounds, inserts, and commits the offsets.",
    "If commit is slow, look at ClickHouse: its merges, its disk, its parts (system.parts).",
    _SECONDS,
)
STORE_STATE = Metric(
    "pipeline_store_state",
    Kind.GAUGE,
    "",
    ("topic", "state"),
    "1 for the state of a topic's loop: starting, running, waiting, halted, stopped.",
    "waiting: /ready names the service that is away. halted: too many messages cannot become rows; read the dead letters.",
)
STORE_LAG_RECORDS = Metric(
    "pipeline_store_lag_records",
    Kind.GAUGE,
    "records",
    ("topic", "partition"),
    "Number of offsets between the committed one and the end of the partition, gaps included.",
    "If it grows steadily, start another `pipeline store` (not with chdb, which has one owner).",
)
STORE_LAG_SECONDS = Metric(
    "pipeline_store_lag_seconds",
    Kind.GAUGE,
    "seconds",
    ("topic", "partition"),
    "Age of the oldest message that is not stored yet; 0 if there is none.",
    "Users see errors so much later. See pipeline_store_state and pipeline_store_batch_seconds.",
)

STORE_METRICS: tuple[Metric, ...] = (
    *(value for name, value in list(globals().items()) if name.startswith("STORE_")),
    BATCHES_DROPPED,
    DEAD_LETTERS,
    INPUT_BREAKS,
    INPUT_LOST,
    KAFKA_ERRORS,
    SERVICE_ERRORS,
    REPORTS_SUPPRESSED,
)
"""What `pipeline store` exposes."""

API_REQUESTS = Metric(
    "pipeline_api_requests",
    Kind.COUNTER,
    "requests",
    ("status",),
    "Answers of the read API by status.",
    "503: ClickHouse is away. 400 with a query that costs too much: see pipeline_api_request_seconds. 500: read the log.",
)
API_REQUEST_SECONDS = Metric(
    "pipeline_api_request_seconds",
    Kind.HISTOGRAM,
    "seconds",
    (),
    "Time from a request's header to its answer.",
    "Above a second: see the dashboard's slow queries; ask about less time, or give ClickHouse more cores.",
    _SECONDS,
)

API_METRICS: tuple[Metric, ...] = (API_REQUESTS, API_REQUEST_SECONDS, REPORTS_SUPPRESSED)
