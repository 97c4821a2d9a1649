"""Memory of a replay: a gigabyte of distinct events in 100,000 stacks, then one line of a gigabyte. Both within 300 MB.

    scripts/bench memory [GIGABYTES]

The figures are the peak resident memory of the replay process; redis-server beside it is another process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

STACKS = 100_000
LIMIT_MB = 300


def distinct_events(size: int) -> Iterator[bytes]:
    """Return events with ids of their own, over `STACKS` stacks, until `size` bytes are given."""
    number = 0
    while size > 0:
        stack = number % STACKS
        frames = [
            {
                "function": f"handler_{stack}_{depth}",
                "module": f"shop.m{stack % 997}.s{depth}",
                "filename": f"shop/m{stack % 997}.py",
            }
            | {"lineno": depth + 1, "in_app": True, "context_line": f"    value_{stack} = compute({depth})" + " " * 200}
            for depth in range(12)
        ]
        line = orjson.dumps(
            {
                "event_id": f"{number:032x}",
                "platform": "python",
                "timestamp": 1_790_000_000 + number / 1_000,
                "exception": {
                    "values": [{"type": f"Error{stack}", "value": f"order {number} failed", "stacktrace": {"frames": frames}}]
                },
                "user": {"id": str(number % 10_007)},
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        yield line
        size -= len(line)
        number += 1


def one_line(size: int) -> Iterator[bytes]:
    """Return one event in one line of `size` bytes."""
    yield b'{"message":"'
    for _ in range(size >> 20):
        yield b"x" * (1 << 20)
    yield b'"}\n'


def measure(name: str, parts: Iterator[bytes], folder: Path) -> bool:
    """Replay the parts as one file; print the peak resident memory and the rate."""
    source = folder / "input.jsonl"
    with source.open("wb") as file:
        for part in parts:
            file.write(part)
    size = source.stat().st_size
    command = ["-m", "pipeline", "replay", str(source), "--project", "1", "--out", str(folder / "out"), "--json"]
    code = (
        "import resource, runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_module('pipeline', run_name='__main__')\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    started = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", code, *command[1:]], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    peak_mb = int(run.stderr.split()[-1]) / 1024
    summary = orjson.loads(run.stdout)
    counts = f"{summary['records']:,} records, {summary['groups']:,} groups"
    print(f"{name}: {size / 1e9:.2f} GB, {counts} in {seconds:.0f} s; peak {peak_mb:.0f} MB of {LIMIT_MB}")
    source.unlink()
    return peak_mb <= LIMIT_MB


def main() -> int:
    """Measure both; exit 1 where the limit is passed."""
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else 1) * 1e9)
    with tempfile.TemporaryDirectory() as folder:
        good = [
            measure(name, parts(size), Path(folder))
            for name, parts in (("distinct events", distinct_events), ("one line", one_line))
        ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
