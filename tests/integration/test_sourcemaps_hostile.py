"""Built files that kill the parser, against a live process: it survives, names them, and resolves the next event."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.artifact_bundles import BuiltFile, write_bundle
from support.source_maps import CODE, FILES, MAP, URL, event, frames_of, source_map
from support.symbolication import kinds, resolve

from pipeline.sourcemaps.artifacts import Artifacts, CacheLimits
from pipeline.sourcemaps.disk_cache import DiskCache
from pipeline.sourcemaps.engines.probe import Probe, ProbeResult
from pipeline.sourcemaps.engines.symbolic_engine import SymbolicEngine, SymbolicMap
from pipeline.sourcemaps.parsed_maps import ParsedMaps
from pipeline.sourcemaps.source_text import SourceText
from pipeline.sourcemaps.stores.folder_store import FolderStore

KILLERS = {
    "parentheses": b"(" * 200_000,
    "brackets": b"[" * 500_000,
    "functions": b"function f(){" * 50_000,
    "arrows": b"a=>" * 50_000,
    "templates": b"`${" * 50_000,
    "classes": b"class A{a=" * 50_000,
    "members": b"a" + b".b" * 500_000,
    "negations": b"!" * 500_000,
    "constructors": b"new " * 100_000 + b"a",
}
SLOW = b"if(a){}" + b"else if(a){}" * 50_000
TAIL = b"\n//# sourceMappingURL=app.min.js.map"

WORKER = """
import json, os, sys
sys.path[:0] = json.loads(sys.argv[2])
from pathlib import Path
from support.symbolication import resolve
from pipeline.settings.schema import ArtifactSettings as Settings
from pipeline.wiring.artifacts import open_artifacts

artifacts = open_artifacts(Settings(url=sys.argv[1], parse_cpu_s=1.0))
print(json.dumps({"pid": os.getpid()}), flush=True)
for line in sys.stdin:
    event = json.loads(line)
    resolve(artifacts, event)
    print(json.dumps(event), flush=True)
"""


class LiveWorker:
    """A process of its own that resolves one event a line."""

    def __init__(self, folder: Path) -> None:
        paths = json.dumps([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), paths], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._answer()["pid"]

    def resolve(self, crashed: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(crashed) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the worker died with {self.process.wait(60)}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        status = self.process.wait(60)
        self.process.stdout.close()
        return status


def at(url: str) -> Any:
    return event({"abs_path": url, "function": "a", "lineno": 1, "colno": 15})


@pytest.mark.slow
def test_a_live_worker_survives_every_killer(tmp_path: Path) -> None:
    files = list(FILES)
    for name, code in {**KILLERS, "slow": SLOW}.items():
        text = source_map([(0, 0, 0, 1, 2)], ["../src/deep.js"], ["x\ny\n"])
        files += [
            BuiltFile(f"~/{name}.js", code + TAIL.replace(b"app.min.js", name.encode())),
            BuiltFile(f"~/{name}.map", text, "source_map"),
        ]
    write_bundle(tmp_path / "7" / "a.zip", files, release="shop@1")
    worker = LiveWorker(tmp_path)
    try:
        for name in (*KILLERS, "slow"):
            answer = worker.resolve(at(f"https://shop.example/{name}.js"))
            (frame,) = frames_of(answer)
            assert (frame["filename"], frame["lineno"], frame["function"]) == ("../src/deep.js", 2, "a"), name
            (error,) = answer["errors"]
            assert (error["type"], error["symbolicator_type"]) == ("js_invalid_source", "unparsable_source")
            assert error["reason"] == ("parser_too_slow" if name == "slow" else "parser_crashed")
            assert frames_of(worker.resolve(event()))[0]["function"] == "refuse", "the next event is resolved"
    finally:
        assert worker.close() == 0


@pytest.mark.parametrize("code", [b"(" * 200_000, b"[" * 500_000])
def test_without_the_probe_such_a_file_does_kill(code: bytes) -> None:
    """If this fails, the library has learned to defend itself, and the probe may go."""
    script = "import sys; from symbolic import SourceMapCache; SourceMapCache.from_bytes(sys.stdin.buffer.read(), b'{}')"
    killed = subprocess.run([sys.executable, "-c", script], input=code, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGSEGV


def test_a_verdict_is_remembered_by_content(tmp_path: Path) -> None:
    class CountingProbe(Probe):
        tries = 0

        def try_parse(self, minified: bytes, source_map: bytes) -> ProbeResult:
            self.tries += 1
            return super().try_parse(minified, source_map)

    probe, disk = CountingProbe(), DiskCache(tmp_path, 1_000_000)
    code, content = SourceText(KILLERS["brackets"]), SourceText(MAP)
    for _ in range(2):
        for memory_bytes in (0, 1_000_000):
            parsed = ParsedMaps(SymbolicEngine(), probe, memory_bytes, disk).get(code, content)
            assert (parsed.map is not None, parsed.reason) == (True, ProbeResult.CRASHED)
    assert probe.tries == 2, "the file with its map, and the map alone"
    probe.close()


def test_a_child_that_was_killed_by_another_is_not_the_files_fault() -> None:
    probe = Probe()
    assert probe.try_parse(CODE, MAP) is ProbeResult.HARMLESS
    assert probe._child is not None
    os.kill(probe._child.pid, signal.SIGKILL)
    probe._child.wait()
    parsed = ParsedMaps(SymbolicEngine(), probe, 1_000_000).get(SourceText(CODE), SourceText(MAP))
    assert parsed.reason is None
    probe.close()


def test_without_a_child_process_there_are_positions_and_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be tried is not parsed; the map alone has never killed anything."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    maps = ParsedMaps(SymbolicEngine(), Probe(), 1_000_000)
    parsed = maps.get(SourceText(CODE), SourceText(MAP))
    assert parsed.reason is ProbeResult.UNKNOWN
    assert parsed.map is not None
    position = parsed.map.locate(1, 15)
    assert position is not None
    assert (position.line, position.scope) == (2, None)
    monkeypatch.undo()
    assert maps.get(SourceText(CODE), SourceText(MAP)).reason is None, "it is tried again, not remembered"


def test_a_map_that_cannot_be_tried_is_never_parsed_by_the_library_that_it_could_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CountingEngine(SymbolicEngine):
        parsed = 0

        def parse(self, minified: bytes, source_map: bytes) -> SymbolicMap:
            self.parsed += 1
            return super().parse(minified, source_map)

    large = source_map([(0, 14, 0, 1, 2)], ["../src/app.js"], ["x\n" * 700_000])
    write_bundle(tmp_path / "7" / "a.zip", [FILES[0], BuiltFile(FILES[1].url, large, "source_map")], release="shop@1")
    engine, now = CountingEngine(), 0.0
    artifacts = Artifacts(FolderStore(tmp_path), engine, probe=Probe(), clock=lambda: now)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    crashed = event()
    assert resolve(artifacts, crashed).resolved == 0
    assert (kinds(crashed), crashed["errors"][0]["reason"]) == (["malformed_sourcemap"], "parser_unavailable")
    assert engine.parsed == 0
    monkeypatch.undo()
    now += 61
    assert resolve(artifacts, event()).resolved == 1, "it is tried again after artifacts.retry_failed_s"


def test_a_map_that_takes_more_memory_than_it_may_is_named() -> None:
    large = b'{"version":3,"sources":["a"],"names":[],"mappings":"%b"}' % (b"A," * 5_000_000)
    probe = Probe(memory_bytes=180_000_000)
    assert probe.try_parse(CODE, MAP) is ProbeResult.HARMLESS
    assert probe.try_parse(CODE, large) is ProbeResult.OUT_OF_MEMORY
    probe.close()
    default = Probe()
    assert default.try_parse(CODE, large) is ProbeResult.HARMLESS
    assert default._child is None, "a child that has held a large map is ended, and its memory with it"
    default.close()


def test_the_child_sees_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_REDIS_URL", "redis://:secret@redis:6379")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    probe = Probe()
    assert probe.try_parse(CODE, MAP) is ProbeResult.HARMLESS
    assert probe._child is not None
    variables = Path(f"/proc/{probe._child.pid}/environ").read_bytes()
    assert b"secret" not in variables
    assert b"PYTHONPATH=" in variables
    probe.close()


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    write_bundle(tmp_path / "7" / "a.zip", FILES, release="shop@1")
    worker = LiveWorker(tmp_path)
    worker.resolve(event())
    (child,) = [int(pid) for pid in Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()]
    worker.process.kill()
    worker.process.wait()
    assert worker.process.stdin is not None
    assert worker.process.stdout is not None
    worker.process.stdin.close()
    worker.process.stdout.close()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}/stat").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("content", "is_resolved"),
    [
        pytest.param(source_map([(0, 14, 0, 1, 2)], [f"{number}" for number in range(1_000_000)]), True, id="a million sources"),
        pytest.param(
            b'{"version":3,"sources":["a"],"names":[],"mappings":"%b"}' % (b"CAAA," * 2_000_000), True, id="two million tokens"
        ),
        pytest.param(
            b'{"version":3,"sources":["a"],"names":[],"mappings":"%b"}' % (b";" * 10_000_000), False, id="ten million lines"
        ),
    ],
)
def test_large_maps_come_to_an_end(tmp_path: Path, content: bytes, is_resolved: bool) -> None:
    write_bundle(tmp_path / "7" / "a.zip", [FILES[0], BuiltFile(FILES[1].url, content, "source_map")], release="shop@1")
    probe = Probe()
    artifacts = Artifacts(FolderStore(tmp_path), SymbolicEngine(), probe=probe, limits=CacheLimits())
    crashed = event()
    assert resolve(artifacts, crashed).resolved == is_resolved
    assert kinds(crashed) == (["missing_source_content"] if is_resolved else ["invalid_location"])
    assert frames_of(crashed)[0]["abs_path"] != URL or not is_resolved
    probe.close()
