"""Dead letters: records that could not be processed, with their original bytes and the reason."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from pipeline.model.category import DataCategory
from pipeline.model.record import Record


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be processed. `reason` is a fixed word for machines, `detail` a sentence for people."""

    record: Record
    stage: str
    reason: str
    detail: str = ""
    category: DataCategory = DataCategory.ERROR
    quantity: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the object of a line of `dead_letters.jsonl`.

        If only the beginning of the record was kept, `size` is its full size.
        """
        body: dict[str, Any] = {
            "bytes": base64.b64encode(self.record.body).decode(),
            "stage": self.stage,
            "reason": self.reason,
            "detail": self.detail,
            "source": self.record.source,
            "position": self.record.position,
        }
        if self.record.truncated_from is not None:
            body["size"] = self.record.truncated_from
        return body
