"""The way of a request under `/api/0/`: access, body, endpoint, in this order. Gateway, api and serve let requests in by it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipeline.api.routes import Api
from pipeline.http.answers import JSON, Answer, RefusedRequestError, body_too_large
from pipeline.http.bodies import Bodies
from pipeline.http.decoding import decoded, limited, parse_encodings
from pipeline.http.exchange import Exchange, Request, content_length
from pipeline.uploads.access import may_use_api
from pipeline.uploads.answers import ApiAnswer, ApiRequest
from pipeline.uploads.chunks import MAX_REQUEST_BYTES

API_THREADS = 4
"""How many requests are answered at a time. An upload holds its request's chunks, twice."""
_NO_SNIFFING = (("x-content-type-options", "nosniff"), ("cache-control", "no-store"))
"""Answers contain text that strangers wrote. A browser must not show them as a page, and must not keep them."""


class ApiDoor:
    """Serves `/api/0/`. ClickHouse and the artifact store may be slow, so they are asked in threads of this object."""

    def __init__(self, api: Api, tokens: tuple[str, ...], bodies: Bodies[Any]) -> None:
        self._api = api
        self._tokens = tokens
        self._bodies = bodies
        self._threads = ThreadPoolExecutor(API_THREADS, thread_name_prefix="api")

    async def answer(self, request: Request, protocol: Exchange, peer: str) -> Answer:
        """Answer one request. `peer` is the address of its connection."""
        if self._api.is_empty:
            return RefusedRequestError(404, "not found", "uploads need an artifact store: --artifacts").answer()
        if not may_use_api(request.headers, peer, self._tokens):
            return RefusedRequestError(401, "authentication credentials were not provided, or are wrong").answer()
        try:
            encodings = parse_encodings(request.headers.get("content-encoding", ""))
            body = await self._bodies.receive(protocol, content_length(request.headers), MAX_REQUEST_BYTES)
        except RefusedRequestError as refused:
            return refused.answer()

        def ask() -> tuple[ApiAnswer, bytes]:
            plain = b"".join(limited(decoded(body.pieces(), encodings), MAX_REQUEST_BYTES, body_too_large))
            answer = self._api.answer(ApiRequest(request.method, request.path, dict(request.headers), plain, request.query))
            return answer, answer.text()

        try:
            answer, text = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except RefusedRequestError as refused:
            return refused.answer()
        finally:
            body.discard()
        return Answer(answer.status, text, (JSON, *_NO_SNIFFING, *((name.lower(), value) for name, value in answer.headers)))
