"""Reading what ArangoDB has answered, where it says more than one thing at once."""

from typing import TypeVar

import msgspec

from chimera_s1.adapters.arango.coordinator import CoordinatorReply, with_coordinator
from chimera_s1.adapters.arango.errors import (
    NoReplyError,
    RequestRejectedError,
    UnexpectedDocumentError,
)
from chimera_s1.domain.ledger.commit import Document

T = TypeVar("T")

_HTTP_CONFLICT = 409


def decode_row(text: str | msgspec.Raw, kind: type[T], reply: CoordinatorReply) -> T:
    """One row of *reply*.

    Raises:
        ArangoFault: It is not of *kind*, or no JSON at all.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        strange = UnexpectedDocumentError(f"has a document that is none of ours ({error})")
        raise with_coordinator(strange, reply) from error
    except msgspec.DecodeError:
        raise with_coordinator(
            NoReplyError("gives an answer that is not ArangoDB's"), reply
        ) from None


def decode_documents(reply: CoordinatorReply, count: int) -> list[Document | None]:
    """The elements of an answer to several documents, None for what is not there.

    Raises:
        ArangoFault: One says something worse, or there are more or fewer than *count*.
    """
    elements = reply.decode(list[Document])
    if len(elements) != count:
        raise with_coordinator(NoReplyError("answers for another number of documents"), reply)
    return [_decode_element(each, reply) for each in elements]


def _decode_element(element: Document, reply: CoordinatorReply) -> Document | None:
    number = element.get("errorNum")
    if not isinstance(number, int):
        return element
    # As it would be answered alone; only a lost race is told from others by this.
    message = str(element.get("errorMessage", ""))
    refusal = RequestRejectedError(_HTTP_CONFLICT, number, message)
    refusal.description = f"says {number} of one of several documents ({message})"
    if refusal.document_missing:
        return None
    raise with_coordinator(refusal, reply)
