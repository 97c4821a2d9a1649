"""Writes what was captured: one `.envelope` file each, and an index that says what it is and how it was made."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recorder import envelope
from recorder.workspace import REPOSITORY, RecordingError

FIXTURES = REPOSITORY / "tests/fixtures"
LICENCE = "Programs and recordings are this project's own, Apache-2.0."
KEPT_OF_OTHER_TYPES = 2
"""Sessions, transactions and client reports: enough to see that they end as outcomes."""


class Recording:
    """The fixtures of one SDK while they are recorded."""

    def __init__(self, sdk: str, project_id: int, *, runtime: str, how: str) -> None:
        self.sdk = sdk
        self.folder = FIXTURES / "recorded" / sdk
        self.index: dict[str, Any] = {
            "sdk": "",
            "project_id": project_id,
            "runtime": runtime,
            "how": how,
            "licence": LICENCE,
            "recorded_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "events": [],
            "others": [],
        }
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def add(self, bodies: list[bytes], *, made_by: str, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Write the envelopes that one program sent. Returns its events by scenario (`name`, `name-2`, ...)."""
        events: dict[str, dict[str, Any]] = {}
        for body in bodies:
            header, items = envelope.parse(body)
            event = _event_of(items)
            if event is None:
                self._add_other(body, items[0].type if items else "empty", made_by)
                continue
            sdk = event["sdk"]
            self.index["sdk"] = f"{sdk['name']} {sdk['version']}"
            scenario = self._free_name(prefix + event["tags"]["scenario"])
            (self.folder / f"{scenario}.envelope").write_bytes(body)
            self.index["events"].append(
                {
                    "file": f"{self.sdk}/{scenario}.envelope",
                    "event_id": event["event_id"],
                    "made_by": made_by,
                    "dsn": "moved from the request" if _dsn_was_added(header) else "sent by the SDK",
                }
            )
            events[scenario.removeprefix(prefix)] = event
        return events

    @staticmethod
    def parsed(bodies: list[bytes]) -> list[dict[str, Any]]:
        """Return the events in envelopes that are not kept."""
        events = (_event_of(envelope.parse(body)[1]) for body in bodies)
        return [event for event in events if event is not None]

    def finish(self, forbidden: list[str]) -> None:
        """Write the index. Raises RecordingError where a fixture names a path of the recording machine."""
        for file in sorted(self.folder.iterdir()):
            found = [path for path in forbidden if path.encode() in file.read_bytes()]
            if found:
                raise RecordingError(f"{file} names a path of this machine: {found}")
        for part in ("events", "others"):
            self.index[part].sort(key=lambda entry: entry["file"])
        write_json(FIXTURES / "index" / f"{self.sdk}.json", self.index)

    def _add_other(self, body: bytes, kind: str, made_by: str) -> None:
        name = re.sub(r"\W+", "-", kind)
        if len(list(self.folder.glob(f"other-{name}*"))) < KEPT_OF_OTHER_TYPES:
            file = self._free_name(f"other-{name}")
            (self.folder / f"{file}.envelope").write_bytes(body)
            self.index["others"].append({"file": f"{self.sdk}/{file}.envelope", "type": kind, "made_by": made_by})

    def _free_name(self, name: str) -> str:
        names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
        return next(free for free in names if not (self.folder / f"{free}.envelope").exists())


def write_json(path: Path, value: object) -> None:
    """Write JSON that diffs well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _event_of(items: list[envelope.EnvelopeItem]) -> dict[str, Any] | None:
    return next((json.loads(item.payload) for item in items if item.type == "event"), None)


def _dsn_was_added(header: dict[str, Any]) -> bool:
    return next(iter(header)) == "dsn"
