"""Funding paid and received: rows of `adapters.binance.income`."""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from chimera_s1.adapters.binance.coin_margined import is_coin_margined
from chimera_s1.adapters.binance.exact_numbers import signed
from chimera_s1.adapters.binance.funding.row_fields import EpochMs, parse_name
from chimera_s1.domain.funding.income import IncomeRow
from chimera_s1.domain.funding.record import IncomePart
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL
from chimera_s1.domain.identifiers import parse_symbol

INCOME_TYPES = {REGULAR: "FUNDING_FEE", SPECIAL: "SPECIAL_FUNDING_FEE"}
"""By rate type."""

_RATE_TYPES = {income_type: rate_type for rate_type, income_type in INCOME_TYPES.items()}


class _IncomeRow(Struct):
    symbol: str
    incomeType: str  # noqa: N815 (Binance's name)
    income: str
    asset: str
    time: EpochMs
    tranId: Annotated[int, Meta(ge=0, le=2**63 - 1)]  # noqa: N815 (Binance's name)


def decode_income(row: Raw) -> IncomeRow | None:
    """None for a COIN-M contract; an income type that is no funding is kept as the rate type.

    Raises:
        msgspec.DecodeError, InvalidValueError: The row cannot be used.
    """
    income = msgspec.json.decode(row, type=_IncomeRow, strict=False)
    if is_coin_margined(income.symbol):
        return None
    kind = parse_name("incomeType", income.incomeType)
    part = IncomePart(
        income.tranId, parse_name("asset", income.asset), signed("income", income.income)
    )
    return IncomeRow(parse_symbol(income.symbol), _RATE_TYPES.get(kind, kind), income.time, part)
