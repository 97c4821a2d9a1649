"""What symbolication costs: a remembered position, a new one, a parse, a whole event; both engines side by side.

Run with `scripts/bench sourcemaps`. The map is that of antd's build, 4 MB, fetched once by npm into `.cache/`; where there is
no npm only the recorded fixtures are measured. CPU time, the median of rounds; the ratios hold on other machines.
"""

from __future__ import annotations

import copy
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from support.artifact_bundles import BuiltFile, write_bundle
from support.symbolication import resolve
from symbolic import SourceMapCache, SourceMapView

from pipeline.rules.folder import load_rules
from pipeline.runtimes.recorded.readers import Inputs
from pipeline.settings.loading import load_settings
from pipeline.settings.schema import ArtifactSettings as Settings
from pipeline.sourcemaps.artifacts import Artifacts
from pipeline.sourcemaps.engines.contract import Engine
from pipeline.sourcemaps.engines.probe import Probe
from pipeline.sourcemaps.engines.sourcemap_engine import SourcemapEngine
from pipeline.sourcemaps.engines.symbolic_engine import SymbolicEngine
from pipeline.stages import EXPLAINED
from pipeline.stages.runner import run
from pipeline.wiring.artifacts import open_artifacts
from pipeline.wiring.contexts import explain_context

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
PACKAGE = "antd@4.24.16"
FIXTURES = ROOT / "tests" / "fixtures"
POSITIONS = 400
LIMIT_REMEMBERED_US, LIMIT_ABOVE_LIBRARY_US = 3.0, 40.0

Place = tuple[int, int]


def main() -> int:
    """Print the figures; 1 where one is above what was promised."""
    failed = False
    antd = fetch_antd()
    if antd is None:
        print("antd's map: skipped, npm is not here or does not reach its registry")
    else:
        failed = measure_map(*antd)
    measure_events()
    return int(failed)


def fetch_antd() -> tuple[bytes, bytes] | None:
    """Return antd's minified build and its map."""
    CACHE.mkdir(exist_ok=True)
    archive = CACHE / f"{PACKAGE.replace('@', '-')}.tgz"
    if not archive.is_file():
        try:
            subprocess.run(
                ["npm", "pack", PACKAGE, "--silent", "--pack-destination", CACHE], check=True, capture_output=True, timeout=120
            )
        except (OSError, subprocess.SubprocessError):
            return None
    with tarfile.open(archive) as package:
        return _read(package, "antd.min.js"), _read(package, "antd.min.js.map")


def _read(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(f"package/dist/{name}")
    assert file is not None, f"{PACKAGE} holds no dist/{name}"
    return file.read()


def measure_map(code: bytes, source_map: bytes) -> bool:
    """Measure parse and look-ups on one large map."""
    print(f"antd: {len(code) / 1e6:.1f} MB of code, {len(source_map) / 1e6:.1f} MB of map, {POSITIONS} positions")
    probe = Probe()
    probe.try_parse(b"", b"{}")
    print(f"  tried in the child, once a content   {seconds(lambda: probe.try_parse(code, source_map), wall=True) * 1e3:8.0f} ms")
    probe.close()

    view = SourceMapView.from_json_bytes(source_map)
    shuffled = random.Random(5)
    tokens = [view[shuffled.randrange(len(view))] for _ in range(POSITIONS)]
    places = [(token.dst_line + 1, token.dst_col + 1) for token in tokens]
    failed = measure_engine(SymbolicEngine(), code, source_map, places)
    measure_engine(SourcemapEngine(), code, source_map, places)
    return failed


def measure_engine(engine: Engine, code: bytes, source_map: bytes, places: Sequence[Place]) -> bool:
    """Measure one engine against its bare library."""
    started = time.process_time()
    parsed = engine.parse(code, source_map)
    print(f"  {engine.name}")
    print(f"    parse, once a map and worker       {(time.process_time() - started) * 1e3:8.0f} ms")
    new_us = per_place(parsed.locate, places)
    seen_us = min(per_place(parsed.locate, places) for _ in range(5))
    bare_us = per_place(bare_lookup(engine, code, source_map), places)
    print(f"    the library's own look-up          {bare_us:8.1f} µs")
    above_us = new_us - bare_us
    print(f"    a new position                     {new_us:8.1f} µs, {above_us:+.1f} (at most +{LIMIT_ABOVE_LIBRARY_US:.0f})")
    print(f"    a remembered position              {seen_us:8.2f} µs (at most {LIMIT_REMEMBERED_US:.0f})")
    return seen_us > LIMIT_REMEMBERED_US or above_us > LIMIT_ABOVE_LIBRARY_US


def bare_lookup(engine: Engine, code: bytes, source_map: bytes) -> Callable[[int, int], object]:
    """Return the look-up of the library alone."""
    if engine.name == "symbolic":
        cache = SourceMapCache.from_bytes(code, source_map)
        return lambda line, column: cache.lookup(line, column, 5)
    import sourcemap

    index = sourcemap.loads(source_map.decode())
    return lambda line, column: index.lookup(line - 1, column - 1)


def measure_events() -> None:
    """Measure whole events: the recorded ones, with their artifacts at hand and with none."""
    events = recorded_events()
    count = len(events)
    print(f"recorded: {count} browser and node events")
    artifacts = open_artifacts(Settings(url=str(FIXTURES / "artifacts")))
    first_us = seconds(lambda: resolve_all(artifacts, copy.deepcopy(events)), wall=True) / count * 1e6
    print(f"  artifacts seen for the first time    {first_us:8.0f} µs an event, child process and parsing included")
    known_us = rounds(artifacts, events)
    frames = sum(len(frames_of(event)) for _, event in events)
    print(f"  artifacts known                      {known_us:8.0f} µs an event, {known_us * count / frames:.1f} µs a frame")
    with tempfile.TemporaryDirectory() as folder:
        write_bundle(Path(folder) / "7" / "a.zip", [BuiltFile("~/other.js", b"")], release="r")
        nothing = open_artifacts(Settings(url=folder))
        resolve_all(nothing, copy.deepcopy(events))
        print(f"  no artifacts, misses remembered      {rounds(nothing, events):8.0f} µs an event")


def rounds(artifacts: Artifacts, events: list[tuple[int, dict[str, Any]]]) -> float:
    """Return the median CPU microseconds of an event."""
    copies = [copy.deepcopy(events) for _ in range(9)]
    return statistics.median(seconds(partial(resolve_all, artifacts, each)) for each in copies) / len(events) * 1e6


def frames_of(event: Any) -> list[Any]:
    """Return all frames of an event's exceptions."""
    return [frame for value in event["exception"]["values"] for frame in (value.get("stacktrace") or {}).get("frames", ())]


def recorded_events() -> list[tuple[int, Any]]:
    """Return the recorded browser and node events with their projects, normalized."""
    context = explain_context(load_settings(None, {}, {}), load_rules(ROOT / "rules"), now=time.time())
    inputs = tuple(str(FIXTURES / "recorded" / sdk) for sdk in ("browser", "node"))
    records = Inputs(inputs, now=time.time(), project_id=None, max_record_bytes=10_000_000)
    items = run(list(records), context, EXPLAINED.only("normalize")).events
    return [(item.scope.project_id, item.event) for item in items if "exception" in item.event]


def resolve_all(artifacts: Artifacts, events: list[tuple[int, dict[str, Any]]]) -> None:
    """Resolve every event in place."""
    for project_id, event in events:
        resolve(artifacts, event, project_id)


def per_place(look_up: Callable[[int, int], object], places: Sequence[Place]) -> float:
    """Return the CPU microseconds of a look-up."""
    started = time.process_time()
    for line, column in places:
        look_up(line, column)
    return (time.process_time() - started) / len(places) * 1e6


def seconds(function: Callable[[], object], *, wall: bool = False) -> float:
    """Return the CPU seconds of a call; by the wall where another process does the work."""
    clock = time.perf_counter if wall else time.process_time
    started = clock()
    function()
    return clock() - started


if __name__ == "__main__":
    sys.exit(main())
