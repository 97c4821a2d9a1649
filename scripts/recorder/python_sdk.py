"""sentry-sdk for Python: a Flask server, a worker and a job that dies."""

from __future__ import annotations

from recorder.capture import CaptureServer
from recorder.fixtures import Recording
from recorder.workspace import prepare, require, run

PROJECT_ID = 11
INTERPRETER = "/usr/bin/python3"
"""The system's Python: the paths of its standard library name no person. With -S, `modules` lists the programs' packages only."""


def record(server: CaptureServer) -> Recording:
    """Run the three programs, one after the other."""
    require(INTERPRETER)
    folder = prepare("python", keep=("site-packages",))
    run(
        [INTERPRETER, "-m", "pip", "install", "--quiet", "--upgrade", "--target", "site-packages", "-r", "requirements.txt"],
        folder,
    )
    runtime = run(
        [INTERPRETER, "-c", "import platform as p; print(p.python_implementation(), p.python_version())"], folder
    ).strip()
    recording = Recording("python", PROJECT_ID, runtime=runtime, how="python3 -S PROGRAM in /srv/shop/python, packages beside it")
    for program in ("web.py", "worker.py", "nightly.py"):
        environment = {"SENTRY_DSN": server.dsn(PROJECT_ID), "PYTHONPATH": "site-packages", "PYTHONDONTWRITEBYTECODE": "1"}
        run([INTERPRETER, "-S", program], folder, environment=environment, may_fail=program == "nightly.py")
        recording.add(server.take().envelopes, made_by=f"programs/python/{program}")
    return recording
