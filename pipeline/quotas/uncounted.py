"""A ledger for runs that store nothing: everything is admitted, nothing is counted (explain, rules diff, bare benchmarks)."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.quotas.ledger import Claim, Counted, Polled, Sighting, Verdict


class UncountedLedger:
    """Admits every claim and knows no group, so every sighting is its group's first."""

    def admit(self, polled: Sequence[Polled], claims: Sequence[Claim], now: float) -> Sequence[Verdict]:  # noqa: ARG002 -- the protocol's
        """Admit all."""
        return [Verdict()] * len(claims)

    def count(self, polled: Sequence[Polled], sightings: Sequence[Sighting], now: float) -> Sequence[Counted]:  # noqa: ARG002
        """Count none."""
        return [Counted(Verdict(), is_new=True)] * len(sightings)
