"""The health report of the account's configuration."""

from collections.abc import Iterator

from msgspec import Struct

from chimera_s1.domain.execution.account_configuration import AccountConfiguration
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import Level, count

READ_GRACE_MS = 30_000
"""The first read comes within seconds, and a read that failed is repeated."""


class NoKeyHealthReport(Struct, frozen=True):
    """Without an exchange key: as it was set up, so no cause for alarm."""

    @property
    def level(self) -> Level:
        return Level.GREEN

    @property
    def grace_ms(self) -> float:
        return 0

    @property
    def sentence(self) -> str:
        return "not followed: no exchange key is configured (S1_BINANCE_KEY)"


class AccountHealthReport(Struct, frozen=True, kw_only=True):
    """Whether the account and its key can be used to trade.

    Attributes:
        venues: Those that are served; the others are not judged.
        configuration: As read last; None before.
        refused: The exchange's words if it does not accept the key; empty otherwise.
        other_account: Why the key is not that of the ledger's account; empty otherwise.
        read_error: Why the last read failed; what was known stays.
        agreement: The refusal that shows that the TradFi agreement is not signed; else empty.
    """

    venues: tuple[Venue, ...]
    configuration: AccountConfiguration | None
    refused: str
    read_error: str
    agreement: str
    other_account: str = ""

    @property
    def level(self) -> Level:
        """ORANGE: orders are refused; YELLOW: it is not known whether they are, or only those of
        TradFi contracts.
        """
        if self.refused or self.other_account or any(self._obstacles()):
            return Level.ORANGE
        unsure = self.configuration is None or self.read_error or any(self._unread())
        return Level.YELLOW if unsure or self.agreement else Level.GREEN

    @property
    def grace_ms(self) -> float:
        return 0 if self.level is Level.ORANGE or self.agreement else READ_GRACE_MS

    @property
    def sentence(self) -> str:
        return self.other_account or "; ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        if self.refused:
            yield (
                f"the exchange does not accept the key: {self.refused}; "
                "mend its rights, or replace it"
            )
        yield from self._obstacles()
        if self.agreement:
            yield (
                f"the TradFi agreement is not signed ({self.agreement}): sign it at the exchange; "
                "this service never does"
            )
        if self.read_error:
            yield f"the account cannot be read: {self.read_error}; it is read again"
        if unread := tuple(self._unread()):
            yield f"not known: {', '.join(unread)}"
        if self.configuration is not None:
            yield describe_modes(self.configuration)
        elif not (self.refused or self.read_error):
            yield "the account has not been read yet"

    def _obstacles(self) -> Iterator[str]:
        now = self.configuration
        if now is None:
            return
        if not any(value is not None for value in known_values(now)):
            yield (
                "the exchange refuses every read of the account: check the key, its IP addresses "
                "and its permissions"
            )
        if Venue.SPOT in self.venues:
            if now.spot_trading is False:
                yield "the key may not trade on spot: enable Spot & Margin Trading for it"
            if now.can_trade_spot is False:
                yield "the exchange has stopped trading of the spot account: see its notices"
        if Venue.PERP in self.venues:
            if now.futures_trading is False:
                yield "the key may not trade futures: enable Futures for it"
            if now.can_trade_futures is False:
                yield "the exchange has stopped trading of the futures account: see its notices"

    def _unread(self) -> Iterator[str]:
        """Without the key's permissions: the testnets cannot be asked for them."""
        now = self.configuration
        if now is None:
            return
        if Venue.SPOT in self.venues and now.can_trade_spot is None:
            yield "whether the spot account may trade"
        if Venue.PERP in self.venues:
            of_futures = {
                "whether the futures account may trade": now.can_trade_futures,
                "the position mode": now.hedge_mode,
                "the multi-assets mode": now.multi_assets,
            }
            yield from (name for name, value in of_futures.items() if value is None)


def describe_modes(configuration: AccountConfiguration) -> str:
    modes = {None: "position mode unknown", True: "hedge mode", False: "one-way mode"}
    assets = {None: "", True: ", multi-assets mode", False: ", single-asset mode"}
    contracts = count(len(configuration.symbols), "contract")
    kinds = sorted({f"{row.margin_type} x{row.leverage}" for row in configuration.symbols})
    rows = f"; {contracts}: {', '.join(kinds)}" if kinds else ""
    return f"{modes[configuration.hedge_mode]}{assets[configuration.multi_assets]}{rows}"


def known_values(configuration: AccountConfiguration) -> tuple[bool | None, ...]:
    return (
        configuration.hedge_mode,
        configuration.multi_assets,
        configuration.spot_trading,
        configuration.futures_trading,
        configuration.can_trade_spot,
        configuration.can_trade_futures,
    )
