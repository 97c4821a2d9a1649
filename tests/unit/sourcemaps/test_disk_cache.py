from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from pipeline.sourcemaps.disk_cache import DiskCache


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_disk_cache_keeps_by_content(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1_000_000)
    cache.put("one", b"same")
    cache.put("two", b"same")
    assert len(list((tmp_path / "objects").iterdir())) == 1
    assert DiskCache(tmp_path, 1_000_000).get("two") == b"same"
    assert cache.get("three") is None


def test_a_damaged_object_is_not_given_out(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1_000_000)
    cache.put("one", b"good")
    (tmp_path / "objects" / sha256(b"good").hexdigest()).write_bytes(b"evil")
    assert cache.get("one") is None
    (tmp_path / "names" / sha256(b"one").hexdigest()).write_bytes(b"../../../../etc/passwd")
    assert cache.get("one") is None


def test_disk_cache_stays_within_its_bound(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 100_000)
    for number in range(100):
        cache.put(str(number), bytes([number]) * 10_000)
    assert size_of(tmp_path) <= 100_000 + 25_000 + 10_000
    assert cache.get("99") == bytes([99]) * 10_000
    assert cache.get("0") is None


FILL = """
import sys
from pathlib import Path
from pipeline.sourcemaps.disk_cache import DiskCache

cache = DiskCache(Path(sys.argv[1]), 200_000)
for number in range(200):
    name = str((number * 7 + int(sys.argv[2])) % 50)
    content = cache.get(name)
    assert content is None or content == name.encode() * 5_000, "another content than was put there"
    cache.put(name, name.encode() * 5_000)
"""


def test_several_processes_share_a_disk_cache(tmp_path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", FILL, str(tmp_path), str(seed)]) for seed in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert not list(tmp_path.rglob(".*")), "no half-written file stays behind"
