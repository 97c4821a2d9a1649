"""The crashing programs of tests/fixtures/programs, built outside the repository and kept there for the next run."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parents[1] / "fixtures" / "programs"
CACHE = Path("~/.cache/event-pipeline/programs").expanduser()
BUILT_IN_S = 900


def built(name: str, *commands: Sequence[str], needs: Sequence[str]) -> Path:
    """Copy a program into the cache, build it there and return its folder.

    Skips the test, with the reason, where a tool is missing or its packages cannot be installed.
    """
    missing = [tool for tool in needs if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"the {name} program needs {', '.join(missing)} on the PATH")
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.copytree(PROGRAMS / name, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        for command in commands:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=BUILT_IN_S)
            if done.returncode != 0:
                pytest.skip(f"the {name} program cannot be built, {command[0]} says: {(done.stdout + done.stderr)[-300:]}")
    return folder


def run(command: Sequence[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program that may crash: that is what it is for."""
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=120
    )


def npm_packages(name: str, *packages: str) -> Path:
    """Return a folder of the cache with these npm packages (`name@version`) installed.

    Skips the test, with the reason, where npm or its registry cannot be had.
    """
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    wanted = "\n".join(packages)
    note = folder / "installed.txt"
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not note.exists() or note.read_text() != wanted:
            npm = shutil.which("npm")
            command = [npm or "npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", str(folder), *packages]
            if npm is None or subprocess.run(command, capture_output=True, check=False, timeout=BUILT_IN_S).returncode != 0:
                pytest.skip(f"{', '.join(packages)} cannot be installed: npm and its registry are needed")
            note.write_text(wanted)
    return folder
