"""The last estimates of every contract, as this instance has received them."""

from collections.abc import Iterable
from statistics import median_low

from msgspec import Struct

from chimera_s1.domain.funding.estimate import FundingEstimate
from chimera_s1.domain.funding.estimates import ContractEstimates, Settled
from chimera_s1.domain.identifiers import Symbol

CONTRACTS_MAX = 10_000
"""Binance lists about 1,000; estimates of further ones are passed over and counted."""


class TakenEstimates(Struct, frozen=True):
    """Attributes:
    newer: Than what was received before.
    settled: The settlements that they show to have happened.
    """

    newer: tuple[FundingEstimate, ...]
    settled: tuple[Settled, ...]


class LatestEstimates:
    """Implements `domain.ports.estimate_reader.EstimateReader`.

    Attributes:
        stale: Rows that were received before, or after a newer one.
        excess: Rows of contracts beyond `CONTRACTS_MAX`.
        settled: Settlements that the stream has shown to have happened.
    """

    def __init__(self) -> None:
        self._contracts: dict[Symbol, ContractEstimates] = {}
        self._exchange_ms = 0
        self.stale = self.excess = self.settled = 0

    @property
    def exchange_ms(self) -> int:
        return self._exchange_ms

    @property
    def contracts(self) -> int:
        return len(self._contracts)

    def last_estimate(self, symbol: Symbol, funding_time: int) -> str:
        contract = self._contracts.get(symbol)
        return contract.rate(funding_time) if contract is not None else ""

    def take(self, estimates: Iterable[FundingEstimate]) -> TakenEstimates:
        newer: list[FundingEstimate] = []
        settled: list[Settled] = []
        for estimate in estimates:
            contract = self._contract(estimate.symbol)
            if contract is None:
                self.excess += 1
            elif contract.is_stale(estimate):
                self.stale += 1
            else:
                newer.append(estimate)
                settled += contract.take(estimate)
        if newer:
            # Set back with the exchange's clock; not moved by one row whose time is a bad one.
            self._exchange_ms = median_low(each.event_time for each in newer)
        self.settled += len(settled)
        return TakenEstimates(tuple(newer), tuple(settled))

    def _contract(self, symbol: Symbol) -> ContractEstimates | None:
        contract = self._contracts.get(symbol)
        if contract is None and len(self._contracts) < CONTRACTS_MAX:
            contract = self._contracts[symbol] = ContractEstimates()
        return contract
