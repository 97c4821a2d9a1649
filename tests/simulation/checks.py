"""The promises, checked at the end of a history against what was sent and what befell it."""

from __future__ import annotations

from collections import Counter, defaultdict

from simulation.plan import LOSSES, Input
from simulation.work import ORGANIZATION, WINDOW_S, Place, hash_of
from simulation.world import FIRST_WINDOW_S, BrokenHistoryError, World

from pipeline.model.grouping import derive_group_id

ZOMBIE_S = 60.0
"""See `is_overtaken` in ledger.lua."""


def check(world: World) -> None:
    """Raise BrokenHistoryError for the first promise that was not kept."""
    _check_places(world)
    _check_order(world)
    _check_duplicates(world)
    _check_quotas(world)
    _check_groups(world)
    _check_reports(world)


def _input(world: World, place: Place) -> Input:
    return world.sent[place.serial][0]


def _check_places(world: World) -> None:
    """Each record has one place. One that nobody can read any more has one, or none."""
    seen = Counter(place.serial for place in world.places)
    for serial, (record, _, message) in world.sent.items():
        times = seen[serial]
        if times > 1 or (times == 0 and serial not in world.gone):
            where = f"{message.partition()}/{message.offset()}"
            raise BrokenHistoryError(f"a record has {times} places: record {record.uid} at {where}")


def _check_order(world: World) -> None:
    """Records of a partition end in the order in which they were written."""
    last: dict[int, int] = {}
    for place in world.places:
        log = id(world.sent[place.serial][1])
        if place.serial < last.get(log, -1):
            raise BrokenHistoryError(f"out of order: record {_input(world, place).uid} on partition {place.partition}")
        last[log] = place.serial


def _may_be_taken_back(world: World) -> set[int]:
    """Return the records that may have been charged for a while and were not in the end, by serial.

    What such a record took of a limit, another one may have been refused for.
    """
    changes = "new rules" in world.plan.kinds
    tentative = {"late", "bomb", "counting bomb"} | ({"dropped", "event"} if changes else set())
    has_group_limit = world.plan.limits[2] is not None
    return {
        serial
        for serial, (record, _, _) in world.sent.items()
        if record.kind in tentative or has_group_limit or serial in world.gone
    }


def _is_whole(world: World) -> bool:
    """Whether Redis lost nothing."""
    return not world.plan.kinds & set(LOSSES)


def _may_stay_charged(world: World) -> int:
    """Return the quantity that may be counted although it was not stored.

    These are records that are gone after they were charged. Where a call arrives more than a minute late, it may also charge
    again what has died since: the ledger takes it for the call of a worker whose clock was set back.
    """
    is_overdue = any(fault.amount > ZOMBIE_S for fault in world.plan.faults if fault.kind in {"freeze", "redis late"})
    return sum(
        record.quantity
        for serial, (record, _, _) in world.sent.items()
        if serial in world.gone or (is_overdue and record.kind in {"late", "dropped", "counting bomb"})
    )


def _check_duplicates(world: World) -> None:
    if not (world.plan.duplicates and _is_whole(world)):
        return
    stored: Counter[tuple[int, int, int]] = Counter()
    tentative = _may_be_taken_back(world)
    claimed = set()
    for place in world.places:
        record = _input(world, place)
        identity = record.project, record.event_id, record.window
        if place.what == "event":
            stored[identity] += 1
        if place.what in {"event", "group"}:
            claimed.add(identity)
    claimed |= {
        (world.sent[serial][0].project, world.sent[serial][0].event_id, world.sent[serial][0].window) for serial in tentative
    }
    for identity, times in stored.items():
        if times > 1:
            raise BrokenHistoryError(f"event {identity[1]} of project {identity[0]} was stored {times} times")
    for place in world.places:
        record = _input(world, place)
        identity = record.project, record.event_id, record.window
        if place.what == "duplicate" and identity not in claimed:
            raise BrokenHistoryError(f"record {record.uid} was refused as a duplicate of nothing")


def _check_quotas(world: World) -> None:
    """No window holds more than its limit, none refused what would have fitted, and Redis knows what was stored."""
    used: Counter[tuple[str, int | None, int]] = Counter()
    for place in world.places:
        record = _input(world, place)
        if place.what == "event":
            used["project", record.project, record.window] += record.quantity
            used["org", None, record.window] += record.quantity
    project, organization, _ = (max(rules.limits[at] or 0 for rules in world.versions) for at in range(3))
    limits = {"project": project} | ({"org": organization} if organization else {})
    if "new rules" not in world.plan.kinds:
        limits = {"project": world.plan.limits[0]} | ({"org": world.plan.limits[1] or 0} if world.plan.limits[1] else {})
    counters = world.store.numbers()
    tentative = _may_be_taken_back(world)
    for (name, owner, window), quantity in used.items():
        if name not in limits:
            continue
        key = _counter_key(name, owner, window)
        destroyed = world.destroyed[key]
        if quantity > limits[name] + destroyed:
            raise BrokenHistoryError(f"{key} let {quantity} pass, its limit is {limits[name]} and {destroyed} were destroyed")
        if counters.get(key, 0) < quantity - destroyed:
            raise BrokenHistoryError(f"{key} holds {counters.get(key, 0)}, {quantity} were stored and {destroyed} destroyed")
        if _is_whole(world) and counters.get(key, 0) > quantity + _may_stay_charged(world):
            raise BrokenHistoryError(f"{key} holds {counters.get(key, 0)}, {quantity} were stored")
    if not _is_whole(world) or "new rules" in world.plan.kinds:
        return
    for place in world.places:
        record = _input(world, place)
        if place.what not in {"project", "organization"}:
            continue
        name = {"project": "project", "organization": "org"}[place.what]
        owner = record.project if name == "project" else None
        slack = sum(world.sent[serial][0].quantity for serial in tentative)
        if used[name, owner, record.window] + record.quantity + slack <= limits[name]:
            raise BrokenHistoryError(f"record {record.uid} was refused by {name}, which had room")


def _counter_key(name: str, owner: int | None, window: int) -> str:
    arrival = FIRST_WINDOW_S + window * WINDOW_S
    slot = int((arrival - ORGANIZATION) // WINDOW_S)
    return f"quota:{name}{{{ORGANIZATION}}}{'' if owner is None else owner}:{slot}"


def _check_groups(world: World) -> None:
    """Redis counts what was stored, and each group has one first event."""
    stored: dict[tuple[int, int], list[Place]] = defaultdict(list)
    for place in world.places:
        if place.what == "event":
            stored[_input(world, place).project, place.group].append(place)
    orphaned = _may_stay_charged(world)
    seen = {key: number for key, number in world.store.numbers().items() if key.startswith("group:")}
    wanted = {_group_key(*group): sum(_input(world, place).quantity for place in places) for group, places in stored.items()}
    for key in sorted(seen.keys() | wanted.keys()):
        found, want, destroyed = seen.get(key, 0), wanted.get(key, 0), world.destroyed[key]
        if found < want - destroyed or (_is_whole(world) and found > want + orphaned):
            raise BrokenHistoryError(f"{key} was seen {found} times by redis, {want} events were stored, {destroyed} destroyed")
    if not _is_whole(world):
        return
    is_regrouped = any(len(set(record.groups)) > 1 for record in world.plan.inputs)
    for group, places in stored.items():
        firsts = sum(place.is_new for place in places)
        # A first that dies late leaves its group without one if another partition's worker has counted an event of it meanwhile.
        late = {
            message.partition()
            for record, _, message in world.sent.values()
            if record.kind == "late" and (record.project, record.groups[0]) == group
        }
        may_lack = is_regrouped or world.gone or (late and len(late | {place.partition for place in places}) > 1)
        if firsts > 1 or (firsts == 0 and not may_lack):
            raise BrokenHistoryError(f"group {group[1]} of project {group[0]} has {firsts} first events")


def _group_key(project: int, group: int) -> str:
    return f"group:{{{ORGANIZATION}}}{project}:{derive_group_id(project, hash_of(group))}"


def _check_reports(world: World) -> None:
    """What was lost was counted by somebody who could know of it."""
    placed = {place.serial for place in world.places}
    unread = sum(why == "retention" and serial not in placed for serial, why in world.gone.items())
    if world.reported_lost < unread:
        raise BrokenHistoryError(f"retention deleted {unread} records that nobody has read, {world.reported_lost} were reported")
    if world.must_report and not world.losses_reported:
        raise BrokenHistoryError("redis lost data, and no worker reported it")
