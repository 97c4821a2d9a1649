"""A worker whose stage `group` does to it what an event's message says: `python deadly_worker.py SETTINGS`.

segfault   reads address 0 in native code
abort      as an assertion in native code does
exit       as native code does that ends the process
hang       sleeps in native code and holds the interpreter, so that no signal handler and no thread runs
panic      raises what a panic in a library in Rust raises

Everything else is the worker as it is.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.cli.worker import run
from pipeline.observability.logs import set_up_logs
from pipeline.runtimes.worker import work
from pipeline.runtimes.worker.supervisor import supervise
from pipeline.settings.loading import load_settings
from pipeline.stages import ERRORS
from pipeline.stages.contract import Context, Items, Order, Stage, StageResult


class PanicError(BaseException):
    """As pyo3's."""


def _panic() -> None:
    raise PanicError("called `Option::unwrap()` on a `None` value")


DEEDS: dict[str, Callable[[], object]] = {
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit": lambda: os._exit(77),
    "hang": lambda: ctypes.PyDLL(None).sleep(3_600),
    "panic": _panic,
    "slow": lambda: time.sleep(0.5),
}


def deadly(stage: Stage) -> Stage:
    def run_deadly(items: Items, ctx: Context) -> StageResult:
        for item in items:
            said = str((item.event.get("logentry") or {}).get("formatted", "")).split(" ")[0]
            if said in DEEDS:
                DEEDS[said]()
        return stage.run(items, ctx)

    return replace(stage, run=run_deadly)


def main(settings_file: str) -> None:
    settings = load_settings(Path(settings_file))
    set_up_logs(settings.reports)
    supervised = supervise(settings.supervisor.hang_s)
    stages = tuple(deadly(stage) if stage.name == "group" else stage for stage in ERRORS.stages)
    setattr(work, "ERRORS", Order(ERRORS.decode, stages))  # noqa: B010 -- mypy knows that the name is another module's
    run(settings, supervised)


if __name__ == "__main__":
    main(*sys.argv[1:])
