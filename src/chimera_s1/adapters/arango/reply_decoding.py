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
    """For each of *count* documents that were written, why the store refused it for good, or None;
    raises as `decode_results`.
    """
    results = decode_results(reply, count)
    return [each if isinstance(each, RequestRejectedError) else None for each in results]


def decode_results(reply: CoordinatorReply, count: int) -> list[Document | RequestRejectedError]:
    """For each of *count* documents that were written its description, or why the store refused it
    for good.

    Raises:
        ArangoRequestError: One may be accepted later, or the count differs.
    """
    elements = reply.decode(list[Document])
    if len(elements) != count:
        raise NoReplyError("replied for a different number of documents", reply.coordinator)
    results = [_element_error(each, reply.coordinator) or each for each in elements]
    for each in results:
        if isinstance(each, RequestRejectedError) and classify_failure(each) not in _FOR_GOOD:
            raise each
    return results


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
