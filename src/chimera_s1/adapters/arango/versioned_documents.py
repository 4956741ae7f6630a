"""Documents with a `version`: each version is written once, by one of several writers."""

from collections.abc import Sequence
from secrets import token_hex

from msgspec import Struct

from chimera_s1.adapters.arango.coordinator import Request
from chimera_s1.adapters.arango.dense_log import UNACCEPTABLE
from chimera_s1.adapters.arango.errors import (
    FailureClass,
    RequestRejectedError,
    classify_failure,
)
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests
from chimera_s1.domain.ledger.commit import Document

_KEEP_NEWER = {"overwriteMode": "replace", "versionAttribute": "version"}


class PutResult(Struct, frozen=True):
    """Attributes:
    written: Whether this call has written the document; otherwise the same version or a newer one
        was stored.
    refused: Why the store refuses it for good; or empty.
    """

    written: bool
    refused: str = ""


def put_newer(
    collection: str, documents: Sequence[Document], requests: RetryingRequests
) -> list[PutResult]:
    """Write each document that has a higher `version` than the stored one of its `_key`. Keys are
    different.

    The server leaves a document of the same version as it is, so a request may be repeated. The
    id of a write tells apart what an earlier attempt has written, and what another writer has.
    """
    if not documents:
        return []
    write_id = token_hex(8)
    marked = [{**each, "write_id": write_id} for each in documents]
    return _put(collection, marked, requests)


def _put(
    collection: str, documents: Sequence[Document], requests: RetryingRequests
) -> list[PutResult]:
    write = Request("post", f"/_api/document/{collection}", _KEEP_NEWER, documents)
    while True:
        replies: Sequence[Document | RequestRejectedError]
        try:
            replies = requests.write_results(write, len(documents))
        except RequestRejectedError as error:
            if error.status in UNACCEPTABLE:
                return _put_halves(collection, documents, error, requests)
            if not _is_conflict(error):
                raise
            replies = [error] * len(documents)
        stored = _find_unwritten(collection, documents, replies, requests)
        if (conflict := _open_conflict(documents, replies, stored)) is None:
            return [_result(*each) for each in zip(documents, replies, stored, strict=True)]
        requests.back_off(conflict)


def _put_halves(
    collection: str,
    documents: Sequence[Document],
    error: RequestRejectedError,
    requests: RetryingRequests,
) -> list[PutResult]:
    """Of a request that is too large, or has a document that the server cannot read."""
    if len(documents) == 1:
        return [PutResult(written=False, refused=error.description)]
    half = len(documents) // 2
    return [
        *_put(collection, documents[:half], requests),
        *_put(collection, documents[half:], requests),
    ]


def _find_unwritten(
    collection: str,
    documents: Sequence[Document],
    replies: Sequence[Document | RequestRejectedError],
    requests: RetryingRequests,
) -> list[Document | None]:
    """What is stored of each document that this attempt has not written; else None."""
    found: list[Document | None] = [None] * len(documents)
    places = [n for n, reply in enumerate(replies) if not _is_written(reply)]
    if places:
        keys = [str(documents[n]["_key"]) for n in places]
        for n, stored in zip(places, requests.find_documents(collection, keys), strict=True):
            found[n] = stored
    return found


def _open_conflict(
    documents: Sequence[Document],
    replies: Sequence[Document | RequestRejectedError],
    stored: Sequence[Document | None],
) -> RequestRejectedError | None:
    """Of a document whose key was taken, and whose version may follow what is stored."""
    for document, reply, found in zip(documents, replies, stored, strict=True):
        if not isinstance(reply, RequestRejectedError) or not _is_conflict(reply):
            continue
        if version_of(found) < version_of(document):
            return reply
    return None


def _result(
    document: Document, reply: Document | RequestRejectedError, stored: Document | None
) -> PutResult:
    if isinstance(reply, RequestRejectedError) and not _is_conflict(reply):
        return PutResult(written=False, refused=reply.description)
    ours = stored is not None and stored.get("write_id") == document["write_id"]
    return PutResult(written=ours or _is_written(reply))


def version_of(document: Document | None) -> int:
    """0 where there is none."""
    return 0 if document is None else int(str(document.get("version", 0)))


def _is_written(reply: Document | RequestRejectedError) -> bool:
    return not isinstance(reply, RequestRejectedError) and reply.get("_oldRev") != reply["_rev"]


def _is_conflict(error: RequestRejectedError) -> bool:
    return classify_failure(error) is FailureClass.CONFLICT
