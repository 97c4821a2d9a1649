"""The order of the business. Every runtime (replay, worker, explain) takes its stages from here."""

from pipeline.stages.admit import admit
from pipeline.stages.contract import Stage, each
from pipeline.stages.count import count
from pipeline.stages.decode import decode
from pipeline.stages.enrich import enrich
from pipeline.stages.filter import filter_inbound
from pipeline.stages.group import group
from pipeline.stages.normalize import normalize
from pipeline.stages.publish import publish
from pipeline.stages.scrub import scrub
from pipeline.stages.symbolicate import symbolicate

DECODE = decode
"""Records come in, items go on: the one step before the stages."""

ERRORS: tuple[Stage, ...] = (
    each("normalize", normalize),
    each("filter", filter_inbound),
    Stage("admit", admit, counts=True),
    each("scrub", scrub),
    Stage("symbolicate", symbolicate),
    each("enrich", enrich),
    each("group", group),
    Stage("count", count, counts=True),
    each("publish", publish),
)
"""What happens to an error event, in this order."""

EXPLAINED = tuple(stage for stage in ERRORS if stage.name in {"normalize", "scrub", "symbolicate", "enrich"})
"""What comes before grouping where nothing is decided or counted: `explain` and `rules diff` go on from here."""
