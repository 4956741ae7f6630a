"""Formats movements of money for people."""

from decimal import Decimal

from chimera_s1.domain.money import exact_text
from chimera_s1.domain.treasury.limits import ASSET, Direction


def format_movement(direction: Direction, amount: Decimal) -> str:
    """`12.5 USDT from SPOT to FUT`."""
    wallets = f"from {direction.source.value} to {direction.target.value}"
    return f"{exact_text(amount)} {ASSET} {wallets}"
