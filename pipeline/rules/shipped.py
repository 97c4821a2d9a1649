"""The rules that the package ships. They are used if there is no rules folder."""

from __future__ import annotations

from pathlib import Path

SHIPPED_RULES = Path(__file__).parents[1] / "shipped_rules"
"""In the repository this is a link to `rules/`. The wheel holds a copy."""
USUAL_FOLDER = Path("rules")


def rules_path(configured: str | None) -> Path:
    """Return the folder that the settings name; if they name none, `./rules` if it exists, else the shipped rules."""
    if configured is not None:
        return Path(configured)
    return USUAL_FOLDER if USUAL_FOLDER.is_dir() else SHIPPED_RULES
