"""Handles requests of sentry-cli under `/api/0/`: checks access, reads the body, and calls the upload API.

The spool is not used.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from pipeline.http.answers import JSON, Answer, RefusedRequestError, body_too_large
from pipeline.http.bodies import Bodies
from pipeline.http.decoding import decoded, limited, parse_encodings
from pipeline.http.exchange import Exchange, Request, content_length
from pipeline.spool.writer import StagedBody
from pipeline.uploads.access import may_use_api
from pipeline.uploads.answers import ApiAnswer, ApiRequest
from pipeline.uploads.api import UploadApi
from pipeline.uploads.chunks import MAX_REQUEST_BYTES

API_THREADS = 2
"""How many requests of sentry-cli are handled at a time. Each holds the chunks of a request twice in memory."""


class ApiDoor:
    """Serves `/api/0/`. The artifact store may be slow, so it is called in threads of this object."""

    def __init__(self, api: UploadApi | None, tokens: tuple[str, ...], bodies: Bodies[StagedBody]) -> None:
        self._api = api
        self._tokens = tokens
        self._bodies = bodies
        self._threads = ThreadPoolExecutor(API_THREADS, thread_name_prefix="api")

    async def answer(self, request: Request, protocol: Exchange, peer: str) -> Answer:
        """Answer one request. `peer` is the address of its connection."""
        if self._api is None:
            return RefusedRequestError(404, "not found", "uploads need an artifact store: --artifacts").answer()
        if not may_use_api(request.headers, peer, self._tokens):
            return RefusedRequestError(401, "authentication credentials were not provided, or are wrong").answer()
        try:
            encodings = parse_encodings(request.headers.get("content-encoding", ""))
            body = await self._bodies.receive(protocol, content_length(request.headers), MAX_REQUEST_BYTES)
        except RefusedRequestError as refused:
            return refused.answer()
        api = self._api

        def ask() -> ApiAnswer:
            plain = b"".join(limited(decoded(body.pieces(), encodings), MAX_REQUEST_BYTES, body_too_large))
            return api.answer(ApiRequest(request.method, request.path, dict(request.headers), plain))

        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except RefusedRequestError as refused:
            return refused.answer()
        finally:
            body.discard()
        return Answer(answer.status, answer.text(), (JSON,))
