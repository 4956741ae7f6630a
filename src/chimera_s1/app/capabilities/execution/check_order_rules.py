"""Check an order against what the registry and our own feed know of its instrument."""

from collections.abc import Callable

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.execution.order_request import OrderRequest, family_of
from chimera_s1.domain.execution.order_rules_check import CurrentPrices, require_order_rules
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.instruments.instrument import InstrumentSpec


class InstrumentUnknownError(InvalidValueError):
    """The venue does not list the instrument, or its listing is not known yet."""

    code = "instrument.unknown"


class CheckOrderRules:
    """Implements `RulesCheck` of `place_orders`.

    Args:
        spec_of: None for an instrument that the venue does not list, or whose listing is not known
            yet: nothing is opened, and the exchange decides about what protects or closes.
        prices_of: None where they are not known, or too old.
    """

    def __init__(
        self,
        spec_of: Callable[[InstrumentId], InstrumentSpec | None],
        prices_of: Callable[[InstrumentId], CurrentPrices | None],
    ) -> None:
        self._spec_of = spec_of
        self._prices_of = prices_of

    def __call__(self, request: OrderRequest, *, opens: bool) -> None:
        """Raises:
        InstrumentUnknownError: It would open a position in an instrument that is not known.
        OrderRulesError: The request breaks a rule.
        """
        instrument = InstrumentId(family_of(request).venue, request.symbol)
        spec = self._spec_of(instrument)
        if spec is not None:
            require_order_rules(request, spec, self._prices_of(instrument) if opens else None)
        elif opens:
            raise InstrumentUnknownError(
                f"{instrument} is not listed, or the listing is not known yet; see "
                f"/xchg/instruments/{instrument}"
            )
