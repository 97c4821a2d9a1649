"""Writes what was captured: one `.envelope` file each, and an index that says what it is and how it was made."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recorder.envelope import SentEnvelope
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

    def add(self, sent: list[SentEnvelope], *, made_by: str, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Write the envelopes that one program sent. Returns its events by scenario (`name`, `name-2`, ...)."""
        events: dict[str, dict[str, Any]] = {}
        for envelope in sent:
            event = envelope.event()
            if event is None:
                self._add_other(envelope, made_by)
                continue
            sdk = event["sdk"]
            self.index["sdk"] = f"{sdk['name']} {sdk['version']}"
            name = self._write(prefix + event["tags"]["scenario"], envelope)
            self.index["events"].append(
                {
                    "file": f"{self.sdk}/{name}.envelope",
                    "event_id": event["event_id"],
                    "sdk": self.index["sdk"],
                    "made_by": made_by,
                    "dsn": "sent by the SDK" if envelope.names_its_project else "moved from the request",
                }
            )
            events[name.removeprefix(prefix)] = event
        return events

    def finish(self, forbidden: list[str]) -> None:
        """Write the index. Raises RecordingError where a fixture tells about the recording machine."""
        for file in sorted(self.folder.iterdir()):
            found = [path for path in forbidden if path.encode() in file.read_bytes()]
            if found:
                raise RecordingError(f"{file} tells about this machine: {found}")
        for part in ("events", "others"):
            self.index[part].sort(key=lambda entry: entry["file"])
        write_json(FIXTURES / "index" / f"{self.sdk}.json", self.index)

    def _add_other(self, envelope: SentEnvelope, made_by: str) -> None:
        items = envelope.items()
        kind = items[0].type if items else "empty"
        if sum(other["type"] == kind for other in self.index["others"]) < KEPT_OF_OTHER_TYPES:
            name = self._write(f"other-{kind.replace('_', '-')}", envelope)
            self.index["others"].append({"file": f"{self.sdk}/{name}.envelope", "type": kind, "made_by": made_by})

    def _write(self, name: str, envelope: SentEnvelope) -> str:
        names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
        free = next(each for each in names if not (self.folder / f"{each}.envelope").exists())
        (self.folder / f"{free}.envelope").write_bytes(envelope.as_file())
        return free


def write_json(path: Path, value: object) -> None:
    """Write JSON that diffs well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
