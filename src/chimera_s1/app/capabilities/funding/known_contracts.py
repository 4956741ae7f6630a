"""What is known of the contracts beside their settlements."""

from collections.abc import Mapping
from typing import Final

from chimera_s1.domain.funding.settlement_times import ContractFacts
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.contract_reader import ContractReader, PerpetualContract

FAR_FUTURE: Final = 4_102_444_800_000
"""2100-01-01; the delivery date of a contract that stays is later."""


class KnownContracts:
    """From the registry and, for the latest settlement, the mark price stream."""

    def __init__(self, contracts: ContractReader) -> None:
        self._contracts = contracts
        self._settled_at: dict[Symbol, int] = {}

    def on_settled(self, symbol: Symbol, funding_time: int) -> None:
        """The mark price stream has moved on to the next settlement; never waits."""
        self._settled_at[symbol] = funding_time

    def facts(self) -> Mapping[Symbol, ContractFacts]:
        """By symbol; empty before the first listing is known."""
        return {
            each.symbol: ContractFacts(
                expects_from=each.onboard_date or 0,
                expects_until=_expects_until(each),
                interval_h=each.funding_interval_h,
                due_at=self._settled_at.get(each.symbol, 0),
            )
            for each in self._contracts.perpetual_contracts()
        }


def _expects_until(contract: PerpetualContract) -> int | None:
    delisted_at = contract.delivery_date
    if delisted_at is not None and delisted_at < FAR_FUTURE:
        return delisted_at
    return None if contract.trades else 0
