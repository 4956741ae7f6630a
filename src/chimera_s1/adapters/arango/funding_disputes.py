"""Disputes of the funding history in ArangoDB: one document for each that is different."""

from collections.abc import Sequence

import msgspec

from chimera_s1.adapters.arango import queries
from chimera_s1.adapters.arango.errors import UnexpectedDocumentError
from chimera_s1.adapters.arango.layout import FUNDING_DISPUTES, document_key, settlement_sort_key
from chimera_s1.adapters.arango.retrying_requests import BindValue, RetryingRequests
from chimera_s1.adapters.arango.versioned_documents import put_newer
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.funding.record import FundingDispute
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ledger.commit import Document


def add(
    disputes: Sequence[FundingDispute], requests: RetryingRequests
) -> tuple[FundingDispute, ...]:
    """Those of *disputes* that were not stored."""
    by_place: dict[str, FundingDispute] = {}
    for each in disputes:
        place = settlement_sort_key(each.key, each.field, each.content_hash)
        by_place.setdefault(place, each)
    documents = [_document(place, each) for place, each in by_place.items()]
    results = put_newer(FUNDING_DISPUTES, documents, requests)
    if refused := next((each.refused for each in results if each.refused), ""):
        raise StoreUnavailableError(f"{FUNDING_DISPUTES}: ArangoDB {refused}; see the server's log")
    return tuple(
        each for each, result in zip(by_place.values(), results, strict=True) if result.written
    )


def select(
    symbol: Symbol | None, limit: int, requests: RetryingRequests
) -> tuple[FundingDispute, ...]:
    """The newest settlements first."""
    binds: dict[str, BindValue] = {"@disputes": FUNDING_DISPUTES, "limit": limit}
    query = queries.FUNDING_DISPUTES
    if symbol is not None:
        query = queries.FUNDING_DISPUTES_OF_SYMBOL
        binds["symbol"] = symbol
    return tuple(map(_dispute, requests.query(query, binds, Document, limit)))


def _document(place: str, dispute: FundingDispute) -> Document:
    return {
        **msgspec.to_builtins(dispute),
        **dispute.key._asdict(),
        "_key": document_key(place),
        "place": place,
        "version": 1,
    }


def _dispute(document: Document) -> FundingDispute:
    try:
        return msgspec.convert(document, FundingDispute)
    except msgspec.ValidationError as error:
        what = f"has a damaged document {FUNDING_DISPUTES}/{document['_key']} ({error})"
        raise UnexpectedDocumentError(what, cure="restore or delete it") from error
