"""Two workers that are started again when they die, as Kubernetes would, and what is done to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FAULTY_WORKER = Path(__file__).with_name("faulty_worker.py")
ROOT = FAULTY_WORKER.parents[2]


@dataclass
class Slot:
    """One worker's place. `faults` are the kill points of its next lives, each with the count at which it strikes.

    A life that ends otherwise leaves its fault to the next one.
    """

    name: str
    settings_file: Path
    folder: Path
    web_port: int
    faults: list[tuple[str, int]] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    held: bool = False
    """Not to be started again for now."""
    lives: int = 0

    def start(self) -> None:
        arguments = [sys.executable, str(FAULTY_WORKER), str(self.settings_file)]
        while self.faults and self.mark(self.faults[0][0]).exists():
            self.faults.pop(0)
        if self.faults:
            point, nth = self.faults[0]
            arguments += [point, str(nth), str(self.mark(point))]
        self.lives += 1
        with (self.folder / f"worker-{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=ROOT)

    def mark(self, point: str) -> Path:
        """Where a life that was killed at a point says so."""
        return self.folder / f"hit-{point}"

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    def ready(self) -> dict[str, Any]:
        """Ask its /ready; empty where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/ready", timeout=2) as answer:
                return dict(json.load(answer))
        except OSError:
            return {}


def children(pid: int | None) -> list[int]:
    """Return the processes that a process has started and that still run."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


class Cluster:
    """Keeps the slots running from a thread of its own."""

    def __init__(self, slots: list[Slot]) -> None:
        self.slots = slots
        self.exits: list[int] = []
        self._over = threading.Event()
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self._supervise, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def kill(self, slot: Slot) -> None:
        """Kill -9, whatever it is doing."""
        with self._lock:
            if slot.pid is not None:
                os.kill(slot.pid, signal.SIGKILL)

    def freeze(self, slot: Slot, seconds: float) -> None:
        """Stop the worker, a child of its supervisor, as a machine would that swaps, and let it go on."""
        with self._lock:
            pid = slot.pid
            for child in children(pid):
                os.kill(child, signal.SIGSTOP)
        if pid is not None:
            time.sleep(seconds)
            with self._lock:
                if slot.pid == pid:
                    for child in children(pid):
                        os.kill(child, signal.SIGCONT)

    def stop(self) -> list[int]:
        """SIGTERM to all; gives their exit codes, each of which must come within ten seconds."""
        self._over.set()
        self._thread.join()
        for slot in self.slots:
            if slot.pid is not None:
                os.kill(slot.pid, signal.SIGTERM)
        return [slot.process.wait(10) for slot in self.slots if slot.process is not None]

    def abandon(self) -> None:
        """End what still runs, after a failure."""
        self._over.set()
        for slot in self.slots:
            if slot.pid is not None:
                os.kill(slot.pid, signal.SIGCONT)
                os.kill(slot.pid, signal.SIGKILL)

    def _supervise(self) -> None:
        while not self._over.wait(0.1):
            with self._lock:
                for slot in self.slots:
                    if slot.pid is None and not slot.held:
                        if slot.process is not None:
                            self.exits.append(slot.process.returncode)
                        slot.start()
