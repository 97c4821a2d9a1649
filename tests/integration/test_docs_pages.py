"""The shell blocks of the pages run as they stand, in order, in an installation with some events and some dead letters."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.installation import ROOT, Installation, until
from support.kafka_broker import produce, read_all

pytestmark = [pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

PAGES = ("trying-rules", "upgrading", "backup", "relay", "dead-letters")
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[str]:
    return _BLOCK.findall(page.read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as the pages assume it, with rules and source maps."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copytree(ROOT / "rules", folder / "rules")
    shutil.copytree(ROOT / "tests" / "fixtures" / "artifacts", folder / "artifacts")
    return folder


def environment(installation: Installation) -> dict[str, str]:
    kafka = installation.settings.kafka
    bin_folder = Path(sys.executable).parent
    return {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        "LANG": "C.UTF-8",
        "PIPELINE_KAFKA_BROKERS": kafka.brokers,
        "PIPELINE_KAFKA_EVENTS_IN": kafka.events_in,
        "PIPELINE_KAFKA_EVENTS_OUT": kafka.events_out,
        "PIPELINE_KAFKA_OUTCOMES": kafka.outcomes,
        "PIPELINE_KAFKA_DEAD_LETTERS": kafka.dead_letters,
        "PIPELINE_CONSUMER_GROUP": kafka.consumer_group,
        "PIPELINE_REDIS_URL": installation.redis.url,
    }


@pytest.mark.parametrize("name", PAGES)
def test_a_page_s_commands_run_as_they_stand(name: str, installation: Installation, folder: Path) -> None:
    installation.worker()
    installation.feed(40)
    produce(installation.broker, installation.settings.kafka.events_in, [b"\xc1 no message"] * 3)
    until(
        lambda: (
            len(installation.stored()) == 40 and len(read_all(installation.broker, installation.settings.kafka.dead_letters)) == 3
        )
    )
    found = blocks(ROOT / "docs" / f"{name}.md")
    assert found
    for block in found:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            env=environment(installation),
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
