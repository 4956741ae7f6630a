"""Free and locked balances of the spot account, in every asset."""

from collections import defaultdict
from decimal import Decimal

from msgspec import Struct

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movements import ASSET, WalletName
from chimera_s1.adapters.simulator.matching.records import ZERO, Balance

LockKey = tuple[str, int]
"""Of an order, its symbol and id; of an order list, an empty text and its id."""


class Lock(Struct, frozen=True):
    """What an order, or a list, has set aside.

    Attributes:
        unit: Amount of *asset* for one unit of quantity.
    """

    asset: str
    unit: Decimal
    amount: Decimal


class SpotWallet:
    """Free USDT is kept by the account, because transfers move it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._free: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._locks: dict[LockKey, Lock] = {}
        self._touched: set[str] = set()

    def free(self, asset: str) -> Decimal:
        if asset == ASSET:
            return self._account.balance(WalletName.SPOT)
        return self._free[asset]

    def add(self, asset: str, change: Decimal) -> None:
        """Change the free balance."""
        if asset == ASSET:
            self._account.change_balance(WalletName.SPOT, change)
        else:
            self._free[asset] += change
        self._touched.add(asset)

    def lock(self, key: LockKey, asset: str, unit: Decimal, qty: Decimal) -> None:
        self.add(asset, -unit * qty)
        self._locks[key] = Lock(asset, unit, unit * qty)

    def locked_for(self, key: LockKey) -> Decimal:
        lock = self._locks.get(key)
        return ZERO if lock is None else lock.amount

    def pay(self, key: LockKey, asset: str, amount: Decimal, remaining: Decimal) -> None:
        """Pay *amount*, and keep of the lock of *key* what *remaining*, a quantity, needs."""
        lock = self._locks.get(key) or Lock(asset, ZERO, ZERO)
        rest = lock.amount + self.free(asset) - amount
        kept = min(lock.unit * remaining, rest)
        self.add(asset, lock.amount - kept - amount)
        self._locks[key] = Lock(asset, lock.unit, kept)

    def release(self, key: LockKey) -> None:
        lock = self._locks.pop(key, None)
        if lock is not None and lock.amount:
            self.add(lock.asset, lock.amount)

    def balances(self) -> list[Balance]:
        """Of every asset that the account has, or had."""
        locked = (lock.asset for lock in self._locks.values())
        return [self._balance(asset) for asset in sorted({ASSET, *self._free, *locked})]

    def take_changes(self) -> tuple[Balance, ...]:
        """The balances that changed since the last call."""
        touched, self._touched = self._touched, set()
        return tuple(self._balance(asset) for asset in sorted(touched))

    def _balance(self, asset: str) -> Balance:
        amounts = (lock.amount for lock in self._locks.values() if lock.asset == asset)
        return Balance(asset=asset, free=self.free(asset), locked=sum(amounts, ZERO))
