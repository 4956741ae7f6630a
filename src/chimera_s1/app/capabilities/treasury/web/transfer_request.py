"""Strict parsing of the headers and bodies of treasury requests."""

import re
from decimal import Decimal

from msgspec import Struct

from chimera_s1.app.capabilities.treasury.accept_transfers import TransferRequest
from chimera_s1.app.web.json_object import (
    JsonNumber,
    JsonObject,
    RequestInvalidError,
    kind_of_value,
    read_json_object,
)
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.money import parse_usdt
from chimera_s1.domain.treasury.events import OperatorVerdict
from chimera_s1.domain.treasury.limits import Direction, Wallet, direction_between

TRANSFER_FIELDS = ("transfer_id", "from", "to", "amount_usdt", "reason")
RESOLUTION_FIELDS = ("verdict", "tran_id", "evidence")
REASON_CHARACTERS = range(201)
EVIDENCE_CHARACTERS = range(10, 501)
TRAN_ID = r"[1-9][0-9]{0,19}"
DECIMAL = r"[0-9]{1,13}(\.[0-9]{1,20})?"


def read_transfer_fields(media_type: str, body: bytes) -> JsonObject:
    """The fields of a transfer request, for `transfer_request_from`.

    Raises:
        MediaTypeError, RequestInvalidError: As `read_json_object`.
    """
    return read_json_object(media_type, body, TRANSFER_FIELDS)


def transfer_request_from(key: TransferId, body: JsonObject) -> TransferRequest:
    """The transfer request in *body*.

    Raises:
        RequestInvalidError: A field is missing or invalid.
    """
    source, target = body.choice("from", Wallet), body.choice("to", Wallet)
    return TransferRequest(
        transfer_id=key,
        direction=_direction(source, target),
        amount=_amount(body),
        reason=body.text("reason", REASON_CHARACTERS) if "reason" in body else "",
    )


class ResolutionRequest(Struct, frozen=True):
    """An operator's verdict; *tran_id* is the exchange's id of the movement, empty with FAILED."""

    verdict: OperatorVerdict
    tran_id: str
    evidence: str


def read_resolution(media_type: str, body: bytes) -> ResolutionRequest:
    """The resolution in *body*.

    Raises:
        MediaTypeError: *media_type* is not application/json.
        RequestInvalidError: A field is missing or invalid.
    """
    fields = read_json_object(media_type, body, RESOLUTION_FIELDS)
    verdict = fields.choice("verdict", OperatorVerdict)
    evidence = fields.text("evidence", EVIDENCE_CHARACTERS).strip()
    if len(evidence) not in EVIDENCE_CHARACTERS:
        raise RequestInvalidError(
            f"evidence has {len(evidence)} characters without outer spaces; write what was seen, "
            "and where"
        )
    return ResolutionRequest(verdict, _tran_id(fields, verdict), evidence)


def _direction(source: Wallet, target: Wallet) -> Direction:
    try:
        return direction_between(source, target)
    except InvalidValueError as error:
        raise RequestInvalidError(str(error)) from error


def _amount(body: JsonObject) -> Decimal:
    match body.value("amount_usdt"):
        case JsonNumber(text=text):
            pass
        case str() as text if re.fullmatch(DECIMAL, text):
            pass
        case other:
            raise RequestInvalidError(
                f"amount_usdt is {kind_of_value(other)}, not a decimal number; send one, like 12.5 "
                'or "12.5"'
            )
    try:
        return parse_usdt(text)
    except InvalidValueError as error:
        raise RequestInvalidError(f"amount_usdt: {error}; send one, like 12.5") from error


def _tran_id(fields: JsonObject, verdict: OperatorVerdict) -> str:
    if verdict is OperatorVerdict.FAILED:
        if "tran_id" in fields:
            raise RequestInvalidError("tran_id is allowed with DONE only; omit it with FAILED")
        return ""
    value = fields.value("tran_id")
    if not isinstance(value, str) or re.fullmatch(TRAN_ID, value) is None:
        raise RequestInvalidError(
            'tran_id is not an id of a movement; send the digits in quotes, like "13526853623", '
            "as the exchange's history shows it"
        )
    return value
