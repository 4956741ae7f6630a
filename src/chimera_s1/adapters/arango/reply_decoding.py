"""Decodes the rows and documents of a reply."""

from typing import TypeVar

import msgspec

from chimera_s1.adapters.arango.coordinator import CoordinatorReply, foreign_reply_error
from chimera_s1.adapters.arango.errors import (
    FailureClass,
    NoReplyError,
    RequestRejectedError,
    UnexpectedDocumentError,
    classify_failure,
)
from chimera_s1.domain.ledger.commit import Document

T = TypeVar("T")

_HTTP_CONFLICT = 409
_FOR_GOOD = frozenset({FailureClass.PERMANENT, FailureClass.CONFLICT})


def decode_row(text: str | msgspec.Raw, kind: type[T], reply: CoordinatorReply) -> T:
    """Raises: UnexpectedDocumentError: Not a *kind*; NoReplyError: not JSON."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UnexpectedDocumentError(
            f"has a damaged document ({error})", reply.coordinator
        ) from error
    except msgspec.DecodeError:
        raise foreign_reply_error(reply) from None


def decode_documents(reply: CoordinatorReply, count: int) -> list[Document | None]:
    """The elements of a reply about *count* documents; None for each that does not exist.

    Raises:
        ArangoRequestError: One element is another error, or the count differs.
    """
    elements = reply.decode(list[Document])
    if len(elements) != count:
        raise NoReplyError("replied for a different number of documents", reply.coordinator)
    return [_decode_element(each, reply.coordinator) for each in elements]


def decode_refusals(reply: CoordinatorReply, count: int) -> list[RequestRejectedError | None]:
    """For each of *count* documents that were written, why the store refused it for good, or None.

    Raises:
        ArangoRequestError: One may be accepted later, or the count differs.
    """
    elements = reply.decode(list[Document])
    if len(elements) != count:
        raise NoReplyError("replied for a different number of documents", reply.coordinator)
    errors = [_element_error(each, reply.coordinator) for each in elements]
    for error in errors:
        if error is not None and classify_failure(error) not in _FOR_GOOD:
            raise error
    return errors


def _decode_element(element: Document, coordinator: str) -> Document | None:
    error = _element_error(element, coordinator)
    if error is None:
        return element
    if error.document_missing:
        return None
    raise error


def _element_error(element: Document, coordinator: str) -> RequestRejectedError | None:
    number = element.get("errorNum")
    if not isinstance(number, int):
        return None
    # Elements have no status. 409 classifies each number as its own reply would be: only 1200 and
    # 1210 depend on the status.
    message = str(element.get("errorMessage", ""))
    error = RequestRejectedError(_HTTP_CONFLICT, number, message)
    error.description = f"rejected one of several documents: {number} ({message})"
    error.coordinator = coordinator
    return error
