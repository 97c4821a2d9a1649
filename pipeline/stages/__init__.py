"""The order of the business. Every runtime (replay, worker, explain, all-in-one) takes its stages from here."""

from pipeline.stages.admit import admit_events
from pipeline.stages.contract import Order, Stage, each
from pipeline.stages.count import count_events
from pipeline.stages.decode import decode_record
from pipeline.stages.enrich import enrich_event
from pipeline.stages.filter import filter_inbound
from pipeline.stages.group import group_event
from pipeline.stages.normalize import normalize_item
from pipeline.stages.publish import publish_event
from pipeline.stages.scrub import scrub_event
from pipeline.stages.symbolicate import symbolicate_events

ERRORS = Order(
    decode_record,
    (
        each("normalize", normalize_item),
        each("filter", filter_inbound),
        Stage("admit", admit_events, counts=True),
        each("scrub", scrub_event),
        Stage("symbolicate", symbolicate_events),
        each("enrich", enrich_event),
        each("group", group_event),
        Stage("count", count_events, counts=True),
        each("publish", publish_event),
    ),
)
"""What happens to a record of error events, in this order: decode, then the stages."""

EXPLAINED = ERRORS.only("normalize", "scrub", "symbolicate", "enrich")
"""What comes before grouping if nothing is decided or counted. `explain` and `rules diff` go on from here."""

CHECKED = ERRORS.only("normalize", "scrub")
"""What `sourcemaps check` needs before it looks at the frames of an event."""
