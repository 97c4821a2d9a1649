"""What every command has in common: how it ends where something around it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.command import ARTIFACTS

from pipeline.cli import cli

ROOT = Path(__file__).parents[3]


def pipeline(*arguments: str, to: str = "/dev/null", **environment: str) -> subprocess.CompletedProcess[str]:
    with Path(to).open("w") as output:
        return subprocess.run(
            [sys.executable, "-m", "pipeline", *arguments],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
            env={**os.environ, **environment},
        )


@pytest.mark.parametrize("arguments", [("config", "show"), ("rules", "check", "rules", "--json")])
def test_an_output_that_is_full_is_said_in_a_line(arguments: tuple[str, ...]) -> None:
    done = pipeline(*arguments, to="/dev/full")
    assert (done.returncode, done.stderr) == (1, "No space left on device\n")


def test_a_terminal_without_our_letters_gets_others(tmp_path: Path) -> None:
    done = pipeline("explain", "tests/fixtures/recorded/python", to=str(tmp_path / "out"), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("content", ["", "[]", '{"type": "session"}'])
@pytest.mark.parametrize("command", [("explain",), ("sourcemaps", "check", "--artifacts", str(ARTIFACTS))])
def test_an_input_without_events_is_said(command: tuple[str, ...], content: str, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(content)
    done = CliRunner().invoke(cli, [*command, str(tmp_path / "events.jsonl")], catch_exceptions=False)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] in {"no event to explain", "no event to check"}


def test_a_dsn_that_is_none_is_a_mistake_in_the_settings() -> None:
    done = pipeline("worker", PIPELINE_SENTRY_DSN="nonsense", PIPELINE_WEB_PORT="45999", PIPELINE_REDIS_URL="redis://127.0.0.1:1")
    assert done.returncode == 2
    assert done.stderr.startswith("settings: reports.sentry_dsn: ")


def test_ctrl_c_ends_a_command_with_130() -> None:
    """Also while its client waits for a broker."""
    environment = {**os.environ, "PIPELINE_KAFKA_BROKERS": "127.0.0.1:1"}
    command = [sys.executable, "-m", "pipeline", "load", "--count", "1"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "Connection refused" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read().splitlines()[-1] == "interrupted"
