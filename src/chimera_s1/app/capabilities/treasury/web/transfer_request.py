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
from chimera_s1.domain.errors import ChimeraError, InvalidValueError
from chimera_s1.domain.identifiers import TransferId, parse_transfer_id
from chimera_s1.domain.money import parse_usdt
from chimera_s1.domain.treasury.events import OperatorVerdict
from chimera_s1.domain.treasury.limits import Direction, Wallet, direction_between

KEY_HEADER = "Idempotency-Key"
TRANSFER_FIELDS = ("transfer_id", "from", "to", "amount_usdt", "reason")
RESOLUTION_FIELDS = ("verdict", "tran_id", "evidence")
REASON_CHARACTERS = range(201)
EVIDENCE_CHARACTERS = range(10, 501)
TRAN_ID = r"[1-9][0-9]{0,19}"
DECIMAL = r"[0-9]{1,13}(\.[0-9]{1,20})?"


class KeyMissingError(ChimeraError):
    """Neither header nor body has a key."""

    code = "key_missing"


class KeyInvalidError(ChimeraError):
    """The key is malformed."""

    code = "key_invalid"


class KeyMismatchError(ChimeraError):
    """The keys in header and body differ."""

    code = "key_mismatch"


def key_from_headers(values: list[str]) -> TransferId | None:
    """The key from the values of all `Idempotency-Key` headers, bare or a string of RFC 8941.

    Raises:
        KeyInvalidError: The key is malformed, or there are several headers.
    """
    if not values:
        return None
    if len(values) > 1:
        raise KeyInvalidError(f"{KEY_HEADER} appears {len(values)} times; send it once")
    text = values[0].strip()
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return _key(KEY_HEADER, text[1:-1] if quoted else text)


def key_from_request(in_headers: TransferId | None, body: JsonObject) -> TransferId:
    """The key from the headers or the body.

    Raises:
        KeyMissingError, KeyInvalidError, KeyMismatchError: No key, a malformed key, two keys.
    """
    if "transfer_id" not in body:
        if in_headers is None:
            raise KeyMissingError(
                f"the transfer has no key; create one, like a UUID, and send it as {KEY_HEADER} "
                "or as transfer_id, the same key with every retry"
            )
        return in_headers
    value = body.value("transfer_id")
    if not isinstance(value, str):
        raise KeyInvalidError(f"transfer_id is {kind_of_value(value)}; send a text in quotes")
    in_body = _key("transfer_id", value)
    if in_headers not in {None, in_body}:
        raise KeyMismatchError(
            f"{KEY_HEADER} and transfer_id differ; send one of them, or the same in both"
        )
    return in_body


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


def _key(where: str, text: str) -> TransferId:
    try:
        return parse_transfer_id(text)
    except InvalidValueError as error:
        raise KeyInvalidError(f"{where}: {error}") from error


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
