"""The four files that a replay writes. They get their names only when the run is complete."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from pipeline.model.dead_letter import DeadLetter
from pipeline.model.outcome import Outcome

EVENTS, OUTCOMES, DEAD_LETTERS, SUMMARY = "events.jsonl", "outcomes.jsonl", "dead_letters.jsonl", "summary.json"
_PARTIAL = ".partial"


class OutputError(Exception):
    """The output folder cannot be written. The message names it."""


class ReplayFiles:
    """The open files of one run, as a context manager. After an error the partial files are removed; no other file is changed.

    Raises OutputError if something cannot be written (a full disk, a folder that is gone).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._files = {name: (folder / (name + _PARTIAL)).open("wb") for name in (EVENTS, OUTCOMES, DEAD_LETTERS)}
        except OSError as error:
            raise self._unwritable(error) from None

    def event(self, value: bytes) -> None:
        """Write one value of the storage topic."""
        self._write(EVENTS, value + b"\n")

    def outcome(self, outcome: Outcome) -> None:
        """Write one outcome with its record's source and position."""
        self._write(OUTCOMES, orjson.dumps(outcome.to_json(with_origin=True), option=orjson.OPT_APPEND_NEWLINE))

    def dead_letter(self, letter: DeadLetter) -> None:
        """Write one dead letter."""
        self._write(DEAD_LETTERS, orjson.dumps(letter.to_json(), option=orjson.OPT_APPEND_NEWLINE))

    def finish(self, summary: dict[str, Any]) -> None:
        """Write the summary and give the files their names.

        The summary is renamed last, so if it exists the others are complete.
        """
        try:
            (self.folder / SUMMARY).unlink(missing_ok=True)
            for name, file in self._files.items():
                file.close()
                (self.folder / (name + _PARTIAL)).replace(self.folder / name)
            partial = self.folder / (SUMMARY + _PARTIAL)
            partial.write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            partial.replace(self.folder / SUMMARY)
        except OSError as error:
            raise self._unwritable(error) from None

    def _write(self, name: str, line: bytes) -> None:
        try:
            self._files[name].write(line)
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write to {self.folder}: {error.strerror}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.close()
        for name in (*self._files, SUMMARY):
            (self.folder / (name + _PARTIAL)).unlink(missing_ok=True)
