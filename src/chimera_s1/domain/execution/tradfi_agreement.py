"""Whether the account lacks the agreement that TradFi contracts need (-4411).

The exchange has no read for it: only the refusal of an order shows that it is not signed, and the
acknowledgement of an order for the same contract that it is. It is never signed by this service.
"""

from chimera_s1.domain.execution.events import OrderEvent, OrderRefused, OrderUpdated, RefusalReason
from chimera_s1.domain.identifiers import Symbol


class TradFiAgreement:
    """Part of the ledger's fold, so that it survives a restart."""

    def __init__(self) -> None:
        self._refused: dict[Symbol, str] = {}

    @property
    def refusal(self) -> str:
        """The contract that was refused last, and the exchange's words; empty if none is known."""
        if not self._refused:
            return ""
        symbol = next(reversed(self._refused))
        return f"{symbol}: {self._refused[symbol]}"

    def refusal_of(self, symbol: Symbol) -> str:
        """The exchange's words about *symbol*; empty if it was not refused."""
        return self._refused.get(symbol, "")

    def apply(self, symbol: Symbol, event: OrderEvent) -> None:
        if isinstance(event, OrderRefused) and event.reason is RefusalReason.AGREEMENT:
            self._refused.pop(symbol, None)
            self._refused[symbol] = event.message
        elif isinstance(event, OrderUpdated) and event.acknowledges and symbol in self._refused:
            self._refused.clear()  # one agreement holds for all contracts of the account
