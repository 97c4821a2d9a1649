"""The demo's report: the largest groups of a replay, and why two events of one group belong together."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

SHOWN_GROUPS = 12


def main() -> None:
    """Print the largest groups of a replay, then compare two events of one group whose titles differ."""
    out, recorded = Path(sys.argv[1]), Path(sys.argv[2])
    groups: dict[int, list[dict[str, Any]]] = defaultdict(list)
    with (out / "events.jsonl").open() as lines:
        for line in lines:
            event = json.loads(line)[2]
            groups[event["group_id"]].append(event)
    ranked = sorted(groups.values(), key=lambda events: (-len(events), events[0]["data"]["title"]))

    print(f"\nThe largest of {len(groups)} groups:")
    for events in ranked[:SHOWN_GROUPS]:
        first = events[0]
        title, culprit = first["data"]["title"][:70], first["data"].get("culprit", "")[:50]
        print(f"  {len(events):3} x  {first['platform']:<10}  {title:<70}  {culprit}")

    pairs = [pair for events in ranked if (pair := differing(events))]
    pair = next(iter(sorted(pairs, key=lambda pair: not was_minified(pair[0]))), None)
    if pair is not None:
        files = [file_of(event["event_id"], recorded) for event in pair]
        print("\nWhy these two are one group:")
        for event in pair:
            print(f"  {event['event_id']}  {event['data']['title']}")
        arguments = ["explain", "--compare", *map(str, files), "--artifacts", "tests/fixtures/artifacts"]
        print("\n$ pipeline", *arguments, flush=True)
        subprocess.run([str(Path(sys.executable).with_name("pipeline")), *arguments], check=True)
    print(f"\nThe files: {out}/events.jsonl, outcomes.jsonl, dead_letters.jsonl, summary.json")


def differing(events: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return two events of a group whose titles differ, or None."""
    for other in events[1:]:
        if other["data"]["title"] != events[0]["data"]["title"]:
            return events[0], other
    return None


def was_minified(event: dict[str, Any]) -> bool:
    """Whether source maps resolved frames of the event. Two builds of one program in one group show the most."""
    return any("raw_stacktrace" in exception for exception in (event["data"].get("exception") or {}).get("values") or [])


def file_of(event_id: str, recorded: Path) -> Path:
    """Return the recorded file that holds an event."""
    needle = event_id.encode()
    return next(path for path in sorted(recorded.rglob("*.envelope")) if needle in path.read_bytes().replace(b"-", b""))


if __name__ == "__main__":
    main()
