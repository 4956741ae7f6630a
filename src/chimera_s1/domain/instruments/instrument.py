"""An instrument as the venue describes it, and what the registry adds."""

from decimal import Decimal

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.operations.active_configuration import RiskLimits


class InstrumentSpec(Struct, frozen=True, kw_only=True, gc=False):
    """One row of exchangeInfo. Enumerations are Binance's text: a new value is kept.

    Attributes:
        contract_type, underlying_type: Empty on spot.
        onboard_date, delivery_date: Epoch ms; None where there is none. On a perpetual contract
            a delivery date is the day it is delisted.
        tick_size, step_size, min_notional and so on: None where the venue sets no such rule; it
            says 0 then.
        market_step_size, market_min_qty: Of market orders; LOT_SIZE's where MARKET_LOT_SIZE says 0.
        market_max_qty: Of market orders and triggered stops; may be far below *max_qty*.
        market_min_notional, market_max_notional: None where market orders are exempt.
        filters: Each filter as canonical JSON, unknown ones too, in Binance's order.
    """

    instrument: InstrumentId
    status: str
    base_asset: str
    quote_asset: str
    margin_asset: str = ""
    contract_type: str = ""
    underlying_type: str = ""
    underlying_sub_types: tuple[str, ...] = ()
    onboard_date: int | None = None
    delivery_date: int | None = None
    tick_size: Decimal | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    step_size: Decimal | None = None
    min_qty: Decimal | None = None
    max_qty: Decimal | None = None
    market_step_size: Decimal | None = None
    market_min_qty: Decimal | None = None
    market_max_qty: Decimal | None = None
    min_notional: Decimal | None = None
    max_notional: Decimal | None = None
    market_min_notional: Decimal | None = None
    market_max_notional: Decimal | None = None
    order_types: tuple[str, ...] = ()
    times_in_force: tuple[str, ...] = ()
    oco_allowed: bool = False
    oto_allowed: bool = False
    opo_allowed: bool = False
    filters: tuple[str, ...] = ()


class LeverageBracket(Struct, frozen=True, kw_only=True, gc=False):
    """Binance, USD-M "Notional and Leverage Brackets"; notionals in the quote asset."""

    bracket: int
    initial_leverage: int
    notional_floor: Decimal
    notional_cap: Decimal
    maintenance_margin_ratio: Decimal
    cumulative: Decimal


class LeverageBrackets(Struct, frozen=True, kw_only=True, gc=False):
    """The brackets of one account: they depend on it.

    Attributes:
        account: Whose, as in the treasury's account claim.
        notional_coef: The account's multiplier of the caps; None where Binance sends none.
    """

    account: str
    notional_coef: Decimal | None
    brackets: tuple[LeverageBracket, ...]


class InstrumentContent(Struct, frozen=True, kw_only=True, gc=False):
    """What `spec_hash` is made of.

    Attributes:
        listed: False once the venue's listing no longer contains it; *spec* is the last one known.
        leverage_brackets: None without an exchange key, and on spot.
        funding_interval_h: None on spot and for dated contracts.
        delisting_date: From the spot delist schedule, epoch ms; None without an exchange key.
    """

    spec: InstrumentSpec
    listed: bool = True
    leverage_brackets: LeverageBrackets | None = None
    funding_interval_h: int | None = None
    delisting_date: int | None = None
    risk: RiskLimits | None = None


class RegistryRow(Struct, frozen=True, kw_only=True, gc=False):
    """An instrument in the registry. It stays when it stops trading.

    Attributes:
        spec_hash: SHA-256 of the canonical content, hex.
        version: 1 when it was first seen, one more with each change.
        updated_at: When the content changed last, epoch ms.
        checked_at: When the venue's listing last contained it, epoch ms.
    """

    content: InstrumentContent
    spec_hash: str
    version: int
    updated_at: int
    checked_at: int

    @property
    def instrument(self) -> InstrumentId:
        return self.content.spec.instrument


class RegistryChange(Struct, frozen=True, kw_only=True, gc=False):
    """A new version of an instrument.

    Attributes:
        row: The registry's row from now on.
        old_hash: Of the version before; empty for a new instrument.
        difference: Changed fields with their old and new text, in the order of the fields.
        source: The reads that brought it, like `exchangeInfo` or `leverageBracket, s10`.
    """

    row: RegistryRow
    old_hash: str
    difference: tuple[tuple[str, str, str], ...]
    source: str
