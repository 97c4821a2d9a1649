"""The wheel works anywhere: in an empty venv and an empty folder it replays an event, by the rules that it carries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support.command import RECORDED, ROOT

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv that holds the built wheel. What the package depends on is taken from the present environment."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A copy: a build in the repository leaves files behind, and would pack those of an earlier one.
    for part in ("pipeline", "rules"):
        shutil.copytree(ROOT / part, source / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    (source / "rules" / "projects" / "7").mkdir(parents=True)
    (source / "rules" / "projects" / "7" / "project.toml").write_text('slug = "an operator\'s own"\n')
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels = folder / "wheels"
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(wheels), str(source))
    run(sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"))
    [wheel] = wheels.glob("*.whl")
    run(*pip, "--python", str(folder / "venv" / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel))
    [packages] = (folder / "venv" / "lib").glob("*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "venv"


def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIPELINE_", "PYTHON"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=clean)
    assert done.returncode == 0, done.stderr
    return done


def test_the_wheel_replays_an_event_in_an_empty_folder(venv: Path, tmp_path: Path) -> None:
    recorded = next(path for path in sorted((RECORDED / "python").rglob("*")) if path.is_file())
    pipeline = str(venv / "bin" / "pipeline")

    replayed = run(pipeline, "replay", str(recorded), "--out", "out", cwd=tmp_path)

    assert "using the rules that come with the package" in replayed.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["records"] == summary["events"] + sum(summary["outcomes"].get("invalid", {}).values()) > 0
    explained = json.loads(run(pipeline, "explain", str(recorded), "--json", cwd=tmp_path).stdout.splitlines()[0])
    rules_used = [rule["file"] for rule in explained["stack_trace_rules"]]
    assert rules_used
    assert all(file.endswith(".rules") and str(venv) in file for file in rules_used)


def test_a_folder_of_rules_goes_before_those_of_the_package(venv: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    (tmp_path / "event.json").write_text('{"message": "hi"}')

    explained = run(str(venv / "bin" / "pipeline"), "explain", "event.json", "--project", "1", cwd=tmp_path)

    assert explained.stderr == ""


def test_an_operators_projects_are_not_in_the_wheel(venv: Path) -> None:
    [shipped] = venv.glob("lib/*/site-packages/pipeline/shipped_rules")

    assert sorted(path.name for path in shipped.iterdir()) == ["bases", "default"]
    assert sorted(path.name for path in (shipped / "bases").iterdir()) == sorted(
        path.name for path in (ROOT / "rules" / "bases").iterdir()
    )
