"""Shipped bases never change once they are written down in `frozen.lock`: a change would regroup everybody's events."""

from __future__ import annotations

import hashlib
from pathlib import Path

BASES = Path(__file__).parents[2] / "rules" / "bases"


def frozen(folder: Path) -> dict[str, str]:
    """Read the lock: file name to hash, in the form that `sha256sum` writes and checks."""
    lines = (folder / "frozen.lock").read_text().splitlines()
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def broken(folder: Path) -> list[str]:
    """Return what is wrong with the bases of a folder."""
    locked = frozen(folder)
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*@*.rules")}
    edited = [name for name in locked if found.get(name, locked[name]) != locked[name]]
    gone = [name for name in locked if name not in found]
    new = [name for name in found if name not in locked]
    return [
        *(f"{name} was edited: put the change into a file of a new date" for name in edited),
        *(f"{name} is gone: somebody may use it" for name in gone),
        *(f"{name} is not in frozen.lock: `sha256sum {name} >> frozen.lock` before a release" for name in new),
    ]


def test_the_shipped_bases_are_as_they_were_frozen() -> None:
    assert frozen(BASES)
    assert broken(BASES) == []


def test_an_edit_a_loss_and_a_newcomer_are_noticed(tmp_path: Path) -> None:
    for name in ("a@2026-01-01.rules", "b@2026-01-01.rules", "c@2026-01-01.rules"):
        (tmp_path / name).write_text(name)
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.glob("*.rules")}
    (tmp_path / "frozen.lock").write_text("".join(f"{digests[name]}  {name}\n" for name in sorted(digests)[:2]))
    (tmp_path / "a@2026-01-01.rules").write_text("edited")
    (tmp_path / "b@2026-01-01.rules").unlink()

    messages = broken(tmp_path)

    assert [message.partition("@")[0] for message in messages] == ["a", "b", "c"]
