-- The tables of the store, the same for chdb and for a server. docs/adr/0010-tables-of-the-store.md says why they are cut so.
--
-- Every statement may be run again. Text columns are '' where an event has no value; times are UTC.
-- `non_replicated_deduplication_window` is what makes an insert's token work. It is needed on the targets of views too.

CREATE TABLE IF NOT EXISTS events
(
    project_id UInt64,
    group_id UInt64,
    timestamp DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    event_id UUID,
    received DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    retention_days UInt16,
    primary_hash UUID,
    group_first_seen DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    type LowCardinality(String),
    platform LowCardinality(String),
    level LowCardinality(String),
    environment LowCardinality(String),
    release LowCardinality(String),
    dist LowCardinality(String),
    transaction LowCardinality(String),
    `user` String CODEC(ZSTD(1)),
    user_id String CODEC(ZSTD(1)),
    user_email String CODEC(ZSTD(1)),
    user_name String CODEC(ZSTD(1)),
    ip_address String CODEC(ZSTD(1)),
    country_code LowCardinality(String),
    title String CODEC(ZSTD(1)),
    culprit String CODEC(ZSTD(1)),
    location String CODEC(ZSTD(1)),
    message String CODEC(ZSTD(1)),
    logger LowCardinality(String),
    http_method LowCardinality(String),
    http_referer String CODEC(ZSTD(1)),
    url String CODEC(ZSTD(1)),
    sdk_name LowCardinality(String),
    sdk_version LowCardinality(String),
    exception_types Array(LowCardinality(String)),
    exception_values Array(String) CODEC(ZSTD(1)),
    mechanism_types Array(LowCardinality(String)),
    mechanism_handled Array(Nullable(UInt8)),
    frame_functions Array(LowCardinality(String)),
    frame_modules Array(LowCardinality(String)),
    frame_filenames Array(LowCardinality(String)),
    frame_abs_paths Array(String) CODEC(ZSTD(1)),
    frame_packages Array(LowCardinality(String)),
    frame_lines Array(UInt32) CODEC(ZSTD(1)),
    frame_in_app Array(UInt8) CODEC(ZSTD(1)),
    is_in_main_thread Nullable(UInt8),
    symbolicated_in_app Nullable(UInt8),
    trace_id UUID,
    span_id String CODEC(ZSTD(1)),
    trace_sampled Nullable(UInt8),
    replay_id UUID,
    flag_keys Array(LowCardinality(String)),
    flag_values Array(LowCardinality(String)),
    processing_errors UInt32,
    tags JSON(max_dynamic_paths = 256),
    tag_keys Array(LowCardinality(String)),
    tag_values Array(LowCardinality(String)),
    source_partition UInt32 CODEC(ZSTD(1)),
    source_offset UInt64 CODEC(Delta, ZSTD(1)),
    INDEX event_id_filter event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX trace_id_filter trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX replay_id_filter replay_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX release_filter release TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX message_words message TYPE text(tokenizer = splitByNonAlpha, preprocessor = lower(message))
)
ENGINE = ReplacingMergeTree
PARTITION BY (retention_days, toMonday(timestamp))
ORDER BY (project_id, group_id, timestamp, event_id)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- The event itself, as JSON: `data` of the storage message.
CREATE TABLE IF NOT EXISTS event_bodies
(
    project_id UInt64,
    group_id UInt64,
    timestamp DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    event_id UUID,
    retention_days UInt16,
    body String CODEC(ZSTD(1)),
    INDEX event_id_filter event_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY (retention_days, toMonday(timestamp))
ORDER BY (project_id, group_id, timestamp, event_id)
TTL toDateTime(timestamp) + toIntervalDay(retention_days)
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- What became of everything that came in. `quantity` is in bytes for attachments. A key or project of 0 is unknown.
CREATE TABLE IF NOT EXISTS outcomes
(
    org_id UInt64,
    project_id UInt64,
    key_id UInt64,
    timestamp DateTime('UTC') CODEC(Delta, ZSTD(1)),
    outcome UInt8,
    reason LowCardinality(String),
    category UInt8,
    quantity UInt64,
    event_id UUID CODEC(ZSTD(1)),
    source_partition UInt32 CODEC(ZSTD(1)),
    source_offset UInt64 CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toMonday(timestamp)
ORDER BY (org_id, project_id, timestamp)
TTL timestamp + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Events of a group by hour. The primary hash is part of the key, so that a group that was taken apart is counted apart.
CREATE TABLE IF NOT EXISTS group_hours
(
    project_id UInt64,
    group_id UInt64,
    hour DateTime('UTC') CODEC(Delta, ZSTD(1)),
    primary_hash UUID CODEC(ZSTD(1)),
    retention_days SimpleAggregateFunction(max, UInt16),
    count SimpleAggregateFunction(sum, UInt64),
    users AggregateFunction(uniq, String),
    first_seen SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    last_seen SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    last_received SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    first_release AggregateFunction(argMinIf, String, DateTime64(3, 'UTC'), UInt8),
    last_release AggregateFunction(argMaxIf, String, DateTime64(3, 'UTC'), UInt8),
    level AggregateFunction(argMax, String, DateTime64(3, 'UTC'))
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(hour)
ORDER BY (project_id, group_id, hour, primary_hash)
TTL hour + toIntervalDay(retention_days)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS group_hours_view TO group_hours AS
SELECT
    project_id,
    group_id,
    toStartOfHour(toDateTime(timestamp, 'UTC')) AS hour,
    primary_hash,
    max(retention_days) AS retention_days,
    count() AS count,
    uniqStateIf(`user`, `user` != '') AS users,
    min(timestamp) AS first_seen,
    max(timestamp) AS last_seen,
    max(received) AS last_received,
    argMinStateIf(toString(release), timestamp, release != '') AS first_release,
    argMaxStateIf(toString(release), timestamp, release != '') AS last_release,
    argMaxState(toString(level), timestamp) AS level
FROM events
GROUP BY project_id, group_id, hour, primary_hash;

-- Events of a project by tag and day. A facet of all tags reads this table alone.
CREATE TABLE IF NOT EXISTS tag_days
(
    project_id UInt64,
    key LowCardinality(String),
    value String CODEC(ZSTD(1)),
    day Date,
    retention_days SimpleAggregateFunction(max, UInt16),
    count SimpleAggregateFunction(sum, UInt64),
    first_seen SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    last_seen SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(day)
ORDER BY (project_id, key, value, day)
TTL day + toIntervalDay(retention_days)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS tag_days_view TO tag_days AS
SELECT
    project_id,
    key,
    value,
    toDate(timestamp, 'UTC') AS day,
    max(retention_days) AS retention_days,
    count() AS count,
    min(timestamp) AS first_seen,
    max(timestamp) AS last_seen
FROM events
ARRAY JOIN tag_keys AS key, tag_values AS value
GROUP BY project_id, key, value, day;

CREATE TABLE IF NOT EXISTS outcome_hours
(
    org_id UInt64,
    project_id UInt64,
    key_id UInt64,
    hour DateTime('UTC') CODEC(Delta, ZSTD(1)),
    outcome UInt8,
    reason LowCardinality(String),
    category UInt8,
    quantity UInt64,
    count UInt64
)
ENGINE = SummingMergeTree((quantity, count))
PARTITION BY toMonday(hour)
ORDER BY (org_id, project_id, hour, category, outcome, reason, key_id)
TTL hour + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS outcome_hours_view TO outcome_hours AS
SELECT
    org_id,
    project_id,
    key_id,
    toStartOfHour(timestamp) AS hour,
    outcome,
    reason,
    category,
    sum(quantity) AS quantity,
    count() AS count
FROM outcomes
GROUP BY org_id, project_id, key_id, hour, outcome, reason, category;

-- Groups that a person merged, took apart or deleted. Queries join it; no stored event is rewritten.
-- A row with a primary hash is about the events of the group with that hash, and goes before the row without one.
-- `into_group` is the group that the events belong to now, never one that was merged further itself. It is `group_id` where
-- nothing was merged. Events that were received at `deleted_until` or before are deleted.
CREATE TABLE IF NOT EXISTS group_overrides
(
    project_id UInt64,
    group_id UInt64,
    primary_hash UUID,
    into_group UInt64,
    deleted_until DateTime64(3, 'UTC'),
    changed_at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY (project_id, group_id, primary_hash)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Single events that were deleted (`into_group` 0) or moved to another group.
CREATE TABLE IF NOT EXISTS event_overrides
(
    project_id UInt64,
    event_id UUID,
    into_group UInt64,
    changed_at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY (project_id, event_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- What a person or the store decided about a group. A group without a row is unresolved.
CREATE TABLE IF NOT EXISTS group_status
(
    project_id UInt64,
    group_id UInt64,
    status Enum8('unresolved' = 0, 'resolved' = 1, 'ignored' = 2),
    substatus LowCardinality(String),
    changed_at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY (project_id, group_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
