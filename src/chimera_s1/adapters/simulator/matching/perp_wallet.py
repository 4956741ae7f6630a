"""The assets of the futures wallet."""

from decimal import Decimal

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movements import ASSET, WalletName
from chimera_s1.adapters.simulator.matching.records import ZERO, Balance


class PerpWallet:
    """USDT is kept by the account, because transfers move it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._others: dict[str, Decimal] = {}

    def amount(self, asset: str) -> Decimal:
        if asset == ASSET:
            return self._account.balance(WalletName.FUT)
        return self._others.get(asset, ZERO)

    def add(self, asset: str, change: Decimal) -> None:
        if asset == ASSET:
            self._account.change_balance(WalletName.FUT, change)
        else:
            self._others[asset] = self.amount(asset) + change

    def set(self, asset: str, amount: Decimal) -> None:
        self.add(asset, amount - self.amount(asset))

    def balance(self, asset: str) -> Balance:
        return Balance(asset=asset, free=self.amount(asset))

    def balances(self) -> list[Balance]:
        """Of USDT, and of every asset that it has, or had."""
        return [self.balance(asset) for asset in (ASSET, *sorted(self._others))]
