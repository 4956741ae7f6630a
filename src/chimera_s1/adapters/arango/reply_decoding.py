"""Reading what ArangoDB has answered, where it says more than one thing at once."""

from typing import TypeVar

import msgspec

from chimera_s1.adapters.arango.coordinator import Reply, blamed
from chimera_s1.adapters.arango.errors import NoReplyError, RefusedError, StrangeDocumentError
from chimera_s1.domain.ledger.commit import Document

T = TypeVar("T")

_HTTP_CONFLICT = 409


def read_row(text: str | msgspec.Raw, kind: type[T], reply: Reply) -> T:
    """One row of *reply*.

    Raises:
        ArangoFault: It is not of *kind*, or no JSON at all.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        strange = StrangeDocumentError(f"has a document that is none of ours ({error})")
        raise blamed(strange, reply) from error
    except msgspec.DecodeError:
        raise blamed(NoReplyError("gives an answer that is not ArangoDB's"), reply) from None


def read_documents(reply: Reply, number: int) -> list[Document | None]:
    """The elements of an answer to several documents, None for what is not there.

    Raises:
        ArangoFault: One says something worse, or there are more or fewer than *number*.
    """
    elements = reply.read(list[Document])
    if len(elements) != number:
        raise blamed(NoReplyError("answers for another number of documents"), reply)
    return [_document(each, reply) for each in elements]


def _document(element: Document, reply: Reply) -> Document | None:
    number = element.get("errorNum")
    if not isinstance(number, int):
        return element
    # As it would be answered alone; only a lost race is told from others by this.
    message = str(element.get("errorMessage", ""))
    refusal = RefusedError(_HTTP_CONFLICT, number, message)
    refusal.said = f"says {number} of one of several documents ({message})"
    if refusal.no_document:
        return None
    raise blamed(refusal, reply)
