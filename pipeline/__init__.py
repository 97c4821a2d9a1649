"""Stream processors for error events: from what an SDK sent to what the storage topic holds, exactly once."""

from importlib.metadata import version

__version__ = version("event-pipeline")
