"""The neutral root that programs are copied to and run under, so that no fixture tells where it was recorded."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path("/srv/shop")
REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS = REPOSITORY / "tests/fixtures/programs"


class RecordingError(Exception):
    """A step of a recording failed; the message is for the person at the terminal."""


def prepare(name: str, *, keep: tuple[str, ...] = ()) -> Path:
    """Copy the programs of one SDK to ROOT/name and return that folder. What is named in `keep` (installed packages) stays."""
    folder = ROOT / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(
            f"{folder} cannot be made ({error.strerror}): recordings need a root that names no machine"
        ) from error
    for old in folder.iterdir():
        if old.name not in keep:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(PROGRAMS / name, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(
    command: list[str], folder: Path, *, environment: dict[str, str] | None = None, may_fail: bool = False, timeout_s: float = 600
) -> str:
    """Run a command in a folder of the root and return what it printed. Raises RecordingError when it fails, unless it may.

    The environment of the recording machine does not reach the program, but for what package managers need.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SENTRY_", "PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**inherited, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode and not may_fail:
        raise RecordingError(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def require(*programs: str) -> None:
    """Raise RecordingError unless each program is on the PATH."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise RecordingError(f"not on the PATH: {', '.join(missing)}")


def npm_install(folder: Path) -> None:
    """Install what the folder's package.json pins."""
    run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"], folder)
