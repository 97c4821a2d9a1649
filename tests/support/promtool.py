"""promtool, which tries alert rules on series: from the PATH, else taken out of Debian's package `prometheus`, once."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "event-pipeline" / "promtool"
HOW_TO_GET_IT = "alert rules are not tried: no promtool here, and no Debian package to take it from (apt-get install prometheus)"


def find_promtool() -> str:
    """Return the path of promtool. Skips the test, in one line, where none can be had."""
    found = shutil.which("promtool") or (str(CACHE) if CACHE.exists() else None)
    if found is None and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        found = _unpack()
    if found is None:
        pytest.skip(HOW_TO_GET_IT)
    return found


def _unpack() -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        for update in (False, True):  # a fresh container has no lists of packages
            if update and subprocess.run(["apt-get", "update"], capture_output=True, check=False).returncode:
                return None
            done = subprocess.run(["apt-get", "download", "prometheus"], cwd=folder, capture_output=True, check=False)
            if done.returncode == 0:
                break
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True, capture_output=True)
            CACHE.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(Path(folder) / "usr" / "bin" / "promtool", CACHE)
            return str(CACHE)
    return None


def try_rules(promtool: str, rules: Path, tests: str, folder: Path) -> None:
    """Run `promtool test rules` on a test file's text. Fails with its words."""
    (folder / rules.name).write_bytes(rules.read_bytes())
    (folder / "tests.yaml").write_text(tests)
    done = subprocess.run([promtool, "test", "rules", "tests.yaml"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
