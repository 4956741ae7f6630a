"""Check an order against its instrument before it is signed."""

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.execution.order_request import OrderRequest, family_of
from chimera_s1.domain.execution.order_rules_check import require_order_rules
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.ports.spec_reader import SpecReader


class InstrumentUnknownError(InvalidValueError):
    """The venue does not list the instrument, or its listing is not known yet."""

    code = "instrument.unknown"


class CheckRules:
    """What depends on the current price is left to the exchange."""

    def __init__(self, specs: SpecReader) -> None:
        self._specs = specs

    def check(self, request: OrderRequest, *, opens: bool) -> None:
        """Check *request*; *opens*: it would open or enlarge a position.

        An instrument that is not listed any more, or not yet known here, refuses an order that
        opens a position; an order that protects or closes one goes to the exchange, which decides.

        Raises:
            InstrumentUnknownError: As above.
            OrderRulesError: The request breaks rules.
        """
        instrument = InstrumentId(family_of(request).venue, request.symbol)
        spec = self._specs.spec(instrument)
        if spec is not None:
            require_order_rules(request, spec, None)
        elif opens:
            raise InstrumentUnknownError(
                f"{instrument} is not listed, or the listing is not known yet; see "
                f"/xchg/instruments/{instrument}"
            )
