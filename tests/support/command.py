"""Run the command line as a person would, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).parents[2]
RULES = ROOT / "rules"
RECORDED = ROOT / "tests" / "fixtures" / "recorded"
ARTIFACTS = ROOT / "tests" / "fixtures" / "artifacts"


def pipeline(*arguments: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `pipeline` with arguments; its exit code is the test's to judge."""
    import os

    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=clean | (environment or {}))


@dataclass(frozen=True)
class Replayed:
    """The four files of a replay, parsed; `raw` holds their bytes."""

    events: list[Any]
    outcomes: list[dict[str, Any]]
    dead_letters: list[dict[str, Any]]
    summary: dict[str, Any]
    raw: dict[str, bytes]


def replay(*inputs: Path, out: Path, options: tuple[object, ...] = (), environment: dict[str, str] | None = None) -> Replayed:
    """Replay inputs with a fixed clock and read what it wrote. Fails where the command does."""
    arguments = ("replay", *inputs, "--out", out, "--rules", RULES, "--now", "2026-11-22T12:00:00Z", *options)
    run = pipeline(*arguments, environment=environment)
    assert run.returncode == 0, run.stderr
    raw = {path.name: path.read_bytes() for path in out.iterdir()}
    lines = {
        name: [orjson.loads(line) for line in raw[f"{name}.jsonl"].splitlines()]
        for name in ("events", "outcomes", "dead_letters")
    }
    return Replayed(**lines, summary=orjson.loads(raw["summary.json"]), raw=raw)
