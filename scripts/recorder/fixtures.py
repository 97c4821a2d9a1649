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
    """The fixtures of one SDK while they are recorded: in memory until all went well, then `write` replaces the old ones."""

    def __init__(self, sdk: str, project_id: int, *, runtime: str, how: str) -> None:
        self.sdk = sdk
        self.project_id = project_id
        self.index: dict[str, Any] = {
            "project_id": project_id,
            "runtime": runtime,
            "how": how,
            "licence": LICENCE,
            "recorded_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "events": [],
            "others": [],
        }
        self.bundles: dict[str, bytes] = {}
        """What sentry-cli uploaded, by the build's name."""
        self.truth: dict[str, Any] = {}
        """By event id: the event's file and its exceptions as the source run had them."""
        self._envelopes: dict[str, bytes] = {}

    def add(self, sent: list[SentEnvelope], *, made_by: str, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Keep the envelopes that one program sent. Returns its events by scenario (`name`, `name-2`, ...)."""
        events: dict[str, dict[str, Any]] = {}
        for envelope in sent:
            event = envelope.event()
            if event is None:
                self._add_other(envelope, made_by)
                continue
            name = self._keep(prefix + event["tags"]["scenario"], envelope)
            self.index["events"].append(
                {
                    "file": f"{self.sdk}/{name}.envelope",
                    "event_id": event["event_id"],
                    "sdk": f"{event['sdk']['name']} {event['sdk']['version']}",
                    "made_by": made_by,
                    "dsn": "sent by the SDK" if envelope.names_its_project else "moved from the request",
                }
            )
            events[name.removeprefix(prefix)] = event
        return events

    def write(self, forbidden: list[str]) -> None:
        """Replace the fixtures of this SDK. Raises RecordingError, and writes nothing, if one of them names this machine."""
        for name, content in self._envelopes.items():
            found = [text for text in forbidden if text.encode() in content]
            if found:
                raise RecordingError(f"{self.sdk}: {name} tells about this machine: {found}")
        for part in ("events", "others"):
            self.index[part].sort(key=lambda entry: entry["file"])
        _replace_folder(
            FIXTURES / "recorded" / self.sdk, {f"{name}.envelope": content for name, content in self._envelopes.items()}
        )
        _write_json(FIXTURES / "index" / f"{self.sdk}.json", self.index)
        if self.bundles:
            _replace_folder(
                FIXTURES / "artifacts" / str(self.project_id), {f"{name}.zip": content for name, content in self.bundles.items()}
            )
            _write_json(FIXTURES / "truth" / f"{self.sdk}.json", self.truth)

    def _add_other(self, envelope: SentEnvelope, made_by: str) -> None:
        items = envelope.items()
        kind = items[0].type if items else "empty"
        if sum(other["type"] == kind for other in self.index["others"]) < KEPT_OF_OTHER_TYPES:
            name = self._keep(f"other-{kind.replace('_', '-')}", envelope)
            self.index["others"].append({"file": f"{self.sdk}/{name}.envelope", "type": kind, "made_by": made_by})

    def _keep(self, name: str, envelope: SentEnvelope) -> str:
        names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
        free = next(each for each in names if each not in self._envelopes)
        self._envelopes[free] = envelope.as_file()
        return free


def _replace_folder(folder: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
