"""Rate limits that the gateway tells senders, so that they stop sending. It charges nothing; workers do.

Only limits of whole categories are told, because telling the limit of one group would silence the whole category.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from pipeline.gateway.routes import Endpoint
from pipeline.http.answers import JSON, Answer
from pipeline.model.category import DataCategory
from pipeline.model.errors import RetryableError
from pipeline.model.scope import Scope
from pipeline.quotas.model import Quota
from pipeline.quotas.rate_limit import IMMEDIATE_RETRY_S, RateLimit, format_header, merge, retry_after
from pipeline.quotas.used_up import UsedUp, counts_sender
from pipeline.rules.snapshot import Rules

log = logging.getLogger(__name__)

UNLIMITED = frozenset({Endpoint.MINIDUMP, Endpoint.UNREAL, Endpoint.NEL, Endpoint.CRON})
"""Endpoints whose clients do not understand 429, or must not be silenced."""
ABUSE_REASON = "too_many_requests"
ASK_EVERY_S = 1.0
SENDERS_KEPT = 10_000
FORGOTTEN_AFTER_S = 300.0

Senders = list[tuple[Scope, Sequence[Quota]]]
FindUsedUp = Callable[[Senders, float], Mapping[Scope, tuple[UsedUp, ...]]]


class SenderLimits:
    """The limits that hold for each sender: quotas with the limit 0, and those that `find` reports as used up.

    `find` asks Redis once a second, in a thread of this object, so requests never wait for it. Without `find`, only quotas with
    the limit 0 are known. A limit that is wrong for a second only costs traffic, because workers decide.
    """

    def __init__(self, rules: Callable[[], Rules], find: FindUsedUp | None) -> None:
        self._rules = rules
        self._find = find
        self._seen: OrderedDict[Scope, float] = OrderedDict()
        self._lock = threading.Lock()
        self._used_up: Mapping[Scope, tuple[UsedUp, ...]] = {}
        self._stopping = threading.Event()
        self.errors = 0
        """How often asking Redis failed."""
        if find is not None:
            threading.Thread(target=self._run, name="limits", daemon=True).start()

    def current(self, scope: Scope) -> tuple[RateLimit, ...]:
        """Return the limits that hold for a sender now."""
        quotas = self._rules().project(scope.project_id).quotas
        limits = [RateLimit.of(quota, IMMEDIATE_RETRY_S) for quota in quotas if _is_closed(quota) and counts_sender(quota, scope)]
        if self._find is not None:
            now = time.time()
            with self._lock:
                self._seen[scope] = now
                self._seen.move_to_end(scope)
                if len(self._seen) > SENDERS_KEPT:
                    self._seen.popitem(last=False)
            limits += [RateLimit.of(used.quota, used.ends - now) for used in self._used_up.get(scope, ()) if used.ends > now]
        return merge(limits) if limits else ()

    def ask(self) -> None:
        """Ask which limits are used up.

        Raises RetryableError if Redis is away. Known limits then hold until their windows end.
        """
        if self._find is None:
            return
        now = time.time()
        with self._lock:
            while self._seen and next(iter(self._seen.values())) < now - FORGOTTEN_AFTER_S:
                self._seen.popitem(last=False)
            scopes = list(self._seen)
        rules = self._rules()
        self._used_up = self._find([(scope, rules.project(scope.project_id).quotas) for scope in scopes], now)

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()

    def _run(self) -> None:
        is_away = False
        while not self._stopping.wait(ASK_EVERY_S):
            try:
                self.ask()
            except RetryableError as error:
                self.errors += 1
                if not is_away:
                    log.warning("used-up quotas are not told at the moment: %s", error)
                is_away = True
            except Exception:  # after any error the thread must go on
                log.exception("used-up quotas are not told")
            else:
                is_away = False


def _is_closed(quota: Quota) -> bool:
    """Whether a quota accepts nothing at all."""
    return quota.limit == 0 and quota.bucket is None


def limited_counts(
    counts: Sequence[tuple[DataCategory, int]], limits: Sequence[RateLimit]
) -> tuple[tuple[tuple[DataCategory, int], RateLimit], ...] | None:
    """Return each of the counts with a limit that applies to it. None unless a limit applies to every one.

    A request is refused only if everything in it is limited, and never if it holds nothing that is counted.
    """
    found = []
    for count in counts:
        limit = next((limit for limit in limits if not limit.categories or count[0] in limit.categories), None)
        if limit is None:
            return None
        found.append((count, limit))
    return tuple(found) or None


def headers_of(limits: Sequence[RateLimit]) -> tuple[tuple[str, str], ...]:
    """Return the header that tells limits with an accepted request. Retry-After is left out: some clients would stop entirely."""
    return (("x-sentry-rate-limits", format_header(limits)),) if limits else ()


def slow_down(wait_s: float) -> Answer:
    """Return the answer to a sender that sends too many requests. It may send anything again after `wait_s` seconds."""
    return too_many_requests((RateLimit(math.ceil(wait_s), (), "key", ABUSE_REASON),))


def too_many_requests(limits: Sequence[RateLimit]) -> Answer:
    """Return the answer to a request whose whole content is limited."""
    body = b'{"detail":"rate limited: a quota is used up, or too many requests came"}'
    return Answer(429, body, (JSON, *headers_of(limits), ("retry-after", retry_after(limits))))
