"""The key of a request that acts once however often it is sent: in a header or in the body."""

from collections.abc import Sequence
from http import HTTPStatus

from chimera_s1.app.web.json_object import JsonObject, kind_of_value
from chimera_s1.app.web.problem_kinds import KindByError, ProblemKind
from chimera_s1.domain.errors import ChimeraError, InvalidValueError
from chimera_s1.domain.identifiers import TransferId, parse_transfer_id

KEY_HEADER = "Idempotency-Key"


class KeyMissingError(ChimeraError):
    """Neither header nor body has a key."""

    code = "key_missing"


class KeyInvalidError(ChimeraError):
    """The key is malformed."""

    code = "key_invalid"


class KeyMismatchError(ChimeraError):
    """The keys in header and body differ."""

    code = "key_mismatch"


KEY_MISSING = ProblemKind(KeyMissingError.code, HTTPStatus.BAD_REQUEST, "The request has no key")
KEY_INVALID = ProblemKind(KeyInvalidError.code, HTTPStatus.BAD_REQUEST, "The key is invalid")
KEY_MISMATCH = ProblemKind(
    KeyMismatchError.code, HTTPStatus.BAD_REQUEST, "The request names different keys"
)
KEY_KINDS: KindByError = {
    KeyMissingError: KEY_MISSING,
    KeyInvalidError: KEY_INVALID,
    KeyMismatchError: KEY_MISMATCH,
}


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


def key_from_request(
    in_headers: TransferId | None, body: JsonObject, fields: Sequence[str]
) -> TransferId:
    """The key from the headers or from one of *fields* of the body.

    Raises:
        KeyMissingError, KeyInvalidError, KeyMismatchError: No key, a malformed key, two keys.
    """
    sent = {KEY_HEADER: in_headers} if in_headers is not None else {}
    for field in fields:
        if field in body:
            value = body.value(field)
            if not isinstance(value, str):
                raise KeyInvalidError(f"{field} is {kind_of_value(value)}; send a text in quotes")
            sent[field] = _key(field, value)
    if not sent:
        raise KeyMissingError(
            f"the request has no key; create one, like a UUID, and send it as {KEY_HEADER} or as "
            f"{fields[0]}, the same key with every retry"
        )
    if len(set(sent.values())) > 1:
        raise KeyMismatchError(
            f"{' and '.join(sent)} differ; send one of them, or the same in all of them"
        )
    return next(iter(sent.values()))


def _key(where: str, text: str) -> TransferId:
    try:
        return parse_transfer_id(text)
    except InvalidValueError as error:
        raise KeyInvalidError(f"{where}: {error}") from error
