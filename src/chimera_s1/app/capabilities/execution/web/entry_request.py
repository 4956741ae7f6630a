"""Strict parsing of the bodies of entry requests."""

import re
from decimal import Decimal
from typing import Final

from chimera_s1.app.capabilities.execution.entries.accept_entries import EntryRequest
from chimera_s1.app.web.json_object import (
    JsonNumber,
    JsonObject,
    RequestInvalidError,
    kind_of_value,
    read_json_object,
)
from chimera_s1.domain.canonical import canonical_hash
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.execution.entries.specs import (
    BaseQty,
    EntrySpec,
    FuturesEntrySpec,
    OnUnprotected,
    QuoteAmount,
    SpotAmount,
    SpotEntrySpec,
)
from chimera_s1.domain.execution.order_request import HedgeSide, Side, WorkingType
from chimera_s1.domain.identifiers import Symbol, TransferId, parse_symbol
from chimera_s1.domain.money import exact_text

KEY_FIELDS: Final = ("client_order_id", "entry_id")
FUTURES_FIELDS: Final = (
    *KEY_FIELDS,
    "symbol",
    "side",
    "qty",
    "limit_price",
    "timeout_ms",
    "stop_price",
    "position_side",
    "working_type",
    "on_unprotected",
)
SPOT_FIELDS: Final = (
    *KEY_FIELDS,
    "symbol",
    "side",
    "quote_usdt",
    "qty",
    "tp_price",
    "sl_trigger_price",
)
CANCEL_FIELDS: Final = ("disarm",)
DECIMAL: Final = r"[0-9]{1,13}(\.[0-9]{1,20})?"
"""As a string; a number is read by the same rule, from its text."""

WHOLE: Final = r"[0-9]{1,9}"


def futures_spec(body: JsonObject) -> FuturesEntrySpec:
    """Raises:
    RequestInvalidError: A field is missing or invalid.
    """
    return FuturesEntrySpec(
        symbol=_symbol(body),
        side=body.choice("side", Side),
        qty=_decimal(body, "qty"),
        limit_price=_decimal(body, "limit_price"),
        stop_price=_decimal(body, "stop_price"),
        timeout_ms=_whole(body, "timeout_ms"),
        position_side=(
            body.choice("position_side", HedgeSide) if "position_side" in body else None
        ),
        working_type=(
            body.choice("working_type", WorkingType)
            if "working_type" in body
            else WorkingType.CONTRACT_PRICE
        ),
        on_unprotected=(
            body.choice("on_unprotected", OnUnprotected)
            if "on_unprotected" in body
            else OnUnprotected.CLOSE
        ),
    )


def spot_spec(body: JsonObject) -> SpotEntrySpec:
    """Raises:
    RequestInvalidError: A field is missing or invalid.
    """
    return SpotEntrySpec(
        symbol=_symbol(body),
        side=body.choice("side", Side),
        amount=_amount(body),
        tp_price=_decimal(body, "tp_price"),
        sl_trigger_price=_decimal(body, "sl_trigger_price"),
    )


def entry_request(key: TransferId, spec: EntrySpec) -> EntryRequest:
    """Two bodies that say the same in other words have one hash: `1.50` and `1.5`."""
    return EntryRequest(entry_id=key, spec=spec, body_hash=canonical_hash(spec))


def read_disarm(media_type: str, body: bytes) -> bool:
    """Of a cancel, whose body may be missing.

    Raises:
        MediaTypeError, RequestInvalidError: As `read_json_object`.
    """
    if not body:
        return False
    fields = read_json_object(media_type, body, CANCEL_FIELDS)
    value = fields.value("disarm") if "disarm" in fields else False
    if not isinstance(value, bool):
        raise RequestInvalidError(f"disarm is {kind_of_value(value)}; send true or false")
    return value


def _symbol(body: JsonObject) -> Symbol:
    value = body.value("symbol")
    if not isinstance(value, str):
        raise RequestInvalidError(f"symbol is {kind_of_value(value)}; send a text in quotes")
    try:
        return parse_symbol(value)
    except InvalidValueError as error:
        raise RequestInvalidError(f"symbol: {error}") from error


def _amount(body: JsonObject) -> SpotAmount:
    if ("qty" in body) is ("quote_usdt" in body):
        raise RequestInvalidError("send either qty, in the base asset, or quote_usdt")
    if "qty" in body:
        return BaseQty(qty=_decimal(body, "qty"))
    return QuoteAmount(usdt=_decimal(body, "quote_usdt"))


def _decimal(body: JsonObject, name: str) -> Decimal:
    text = _number_text(body, name, DECIMAL, 'a decimal number; send one, like 12.5 or "12.5"')
    value = Decimal(text)
    if not value:
        raise RequestInvalidError(f"{name} is 0; send a number above 0")
    return Decimal(exact_text(value))


def _whole(body: JsonObject, name: str) -> int:
    return int(_number_text(body, name, WHOLE, "a whole number; send one, like 60000"))


def _number_text(body: JsonObject, name: str, pattern: str, wanted: str) -> str:
    value = body.value(name)
    text = value.text if isinstance(value, JsonNumber) else value
    if not isinstance(text, str) or re.fullmatch(pattern, text) is None:
        raise RequestInvalidError(f"{name} is {kind_of_value(value)}, not {wanted}")
    return text
