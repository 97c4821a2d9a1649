"""The order of the business: what happens to a record, stage by stage. Every runtime and command takes its stages from here.

An event leaves this order in one of three ways: published, rejected with an outcome, or as a dead letter. An exception in any
stage makes the event at fault a dead letter with the reason `internal`.
"""

from pipeline.stages.admit import admit_events
from pipeline.stages.contract import Order, Stage, each
from pipeline.stages.count import count_events
from pipeline.stages.decode import decode_record
from pipeline.stages.decode.stored import drop_unchanged
from pipeline.stages.enrich import enrich_event
from pipeline.stages.filter import filter_inbound
from pipeline.stages.group import group_event
from pipeline.stages.normalize import normalize_item
from pipeline.stages.publish import publish_event
from pipeline.stages.scrub import scrub_event
from pipeline.stages.symbolicate import symbolicate_events

ERRORS = Order(
    # Take a record apart. Bytes that do not parse become a dead letter; everything but error events gets the outcome INVALID.
    decode_record,
    (
        # Bring the event into the form that all later stages rely on. Nothing ends here: bad fields are repaired or dropped.
        each("normalize", normalize_item),
        # Apply the project's filters. What one matches gets the outcome FILTERED.
        each("filter", filter_inbound),
        # Charge quotas, and claim the event id. What is over a quota gets RATE_LIMITED, a duplicate gets INVALID.
        Stage("admit", admit_events, counts=True),
        # Take out secrets and personal data. Nothing ends here.
        each("scrub", scrub_event),
        # Resolve minified frames by source maps. Nothing ends here: a frame that cannot be resolved stays as it is.
        Stage("symbolicate", symbolicate_events),
        # Add browser, system and device, and the derived tags. Nothing ends here.
        each("enrich", enrich_event),
        # Apply the grouping rules and compute the hashes. Nothing ends here.
        each("group", group_event),
        # Count the event's group, and charge quotas of groups. What is over such a quota gets RATE_LIMITED.
        Stage("count", count_events, counts=True),
        # Encode the storage message. One that the topic would refuse for its size becomes a dead letter.
        each("publish", publish_event),
    ),
)
"""What happens to a record of error events, in this order: decode, then the stages."""

CHANGED = Order(ERRORS.decode, (*ERRORS.stages, each("compare", drop_unchanged)))
"""The order for stored events of which only those are wanted that come out otherwise than before."""

EXPLAINED = ERRORS.only("normalize", "scrub", "symbolicate", "enrich")
"""What comes before grouping if nothing is decided or counted. `explain` and `rules diff` go on from here."""

CHECKED = ERRORS.only("normalize", "scrub")
"""What `sourcemaps check` needs before it looks at the frames of an event."""
