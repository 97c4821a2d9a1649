"""Which of many texts occur in a value, answered without trying each: what a glob insists on, looked up before the glob is.

Each text is filed under one of its four-character pieces, the one that fewest others have; a value then asks for its own
pieces. A thousand texts cost about as much as ten, unless they are alike in every piece.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

PIECE = 4


class LiteralIndex:
    """Texts by position. One shorter than a piece cannot be looked up, and counts as possible everywhere."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = tuple(texts)
        self._short = [position for position, text in enumerate(texts) if len(text) < PIECE]
        pieces = [_pieces(text) for text in texts]
        common = Counter(piece for of_text in pieces for piece in of_text)
        self._filed: dict[str, list[int]] = {}
        for position, of_text in enumerate(pieces):
            if of_text:
                rarest = min(of_text, key=lambda piece: (common[piece], piece))
                self._filed.setdefault(rarest, []).append(position)

    def possible(self, value: str) -> Iterator[int]:
        """Give the positions of all texts that occur in the value, short ones unseen; in no order."""
        yield from self._short
        if len(value) > len(self._texts):  # a long value has more pieces than there are texts to try
            yield from (position for position, text in enumerate(self._texts) if len(text) >= PIECE and text in value)
            return
        for piece in _pieces(value) & self._filed.keys():
            yield from (position for position in self._filed[piece] if self._texts[position] in value)


def _pieces(text: str) -> set[str]:
    return {text[start : start + PIECE] for start in range(len(text) - PIECE + 1)}
