"""What a read of the exchange's funding history has done so far."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, structs

from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.coverage_union import extend_span, is_progress
from chimera_s1.domain.funding.settlement_times import ContractFacts
from chimera_s1.domain.identifiers import Symbol


class RatesRead(Struct, frozen=True, kw_only=True):
    """What a read of the exchange's history has done; of an unfinished one, so far.

    Attributes:
        rows: Read; where windows and pages meet, some count twice.
        new, completed: Records that this call has written.
        disputed: Rows that contradict a stored record and had not been reported.
        refused: Records that the store refuses for good.
        unusable: Rows that cannot be read.
    """

    requests: int = 0
    rows: int = 0
    new: int = 0
    completed: int = 0
    disputed: int = 0
    refused: int = 0
    unusable: int = 0


class RatesProgress:
    """The state of one call of `CompleteRates`.

    Attributes:
        exchange_ms: When it began, by the exchange's clock.
        symbols: All known contracts.
        spans: What is proven of each, as the store has it.
    """

    def __init__(
        self,
        exchange_ms: int,
        contracts: Mapping[Symbol, ContractFacts],
        coverage: Mapping[Symbol, RateCoverage],
        progress: Callable[[RatesRead], None],
        kept_from: int = 0,
    ) -> None:
        self.exchange_ms = exchange_ms
        self.contracts = contracts
        self.symbols = {*contracts, *coverage}
        self.spans = {symbol: each.span for symbol, each in coverage.items()}
        self.confirms_end = True
        self.result = RatesRead()
        self._progress = progress
        self._kept_from = kept_from

    def add(self, **counts: int) -> None:
        changed = {name: getattr(self.result, name) + n for name, n in counts.items()}
        self.result = structs.replace(self.result, **changed)

    def new_proof(self, proven: Sequence[RateCoverage]) -> list[RateCoverage]:
        """Those of *proven* that are worth storing."""
        return [
            each
            for each in proven
            if is_progress(self.spans.get(each.symbol), each.span, self._kept_from)
        ]

    def prove(self, proven: Sequence[RateCoverage]) -> None:
        for each in proven:
            self.spans[each.symbol] = extend_span(self.spans.get(each.symbol), each.span)

    def report(self) -> None:
        self._progress(self.result)
