"""The proven spans of the funding history in ArangoDB: one document a span.

A writer reads a span and writes it with the next version; of two writers of one version, one
succeeds, and the other reads again.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from chimera_s1.adapters.arango import queries
from chimera_s1.adapters.arango.errors import StaleCoordinatorError, UnexpectedDocumentError
from chimera_s1.adapters.arango.layout import FUNDING_COVERAGE, coverage_key
from chimera_s1.adapters.arango.retrying_requests import BindValue, RetryingRequests
from chimera_s1.adapters.arango.versioned_documents import put_newer
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.funding.coverage_union import extend_span
from chimera_s1.domain.funding.window import Window
from chimera_s1.domain.ledger.commit import Document

RATES, AMOUNTS = "rates", "amounts"

_SPANS_PER_READ = 1_000


class _Coverage(Struct, frozen=True):
    kind: str
    name: str
    verified_from: int
    verified_through: int
    version: int

    @property
    def span(self) -> Window:
        return Window(self.verified_from, self.verified_through)


def select(kind: str, requests: RetryingRequests) -> dict[str, Window]:
    """All spans of *kind*, by name."""
    binds: dict[str, BindValue] = {"@coverage": FUNDING_COVERAGE, "kind": kind}
    found = requests.query(queries.FUNDING_COVERAGE, binds, Document, _SPANS_PER_READ)
    return {each.name: each.span for each in map(_coverage, found)}


def find(kind: str, name: str, requests: RetryingRequests) -> Window | None:
    document = requests.find_document(FUNDING_COVERAGE, coverage_key(kind, name), Document)
    return None if document is None else _coverage(document).span


def extend(kind: str, spans: Sequence[tuple[str, Window]], requests: RetryingRequests) -> None:
    """Extend the span of each name."""
    pending: dict[str, list[Window]] = {}
    for name, span in spans:
        pending.setdefault(name, []).append(span)
    while pending:
        changed = _changed(kind, pending, requests)
        documents = [
            {"_key": coverage_key(kind, each.name), **msgspec.to_builtins(each)} for each in changed
        ]
        results = put_newer(FUNDING_COVERAGE, documents, requests)
        if refused := next((each.refused for each in results if each.refused), ""):
            raise StoreUnavailableError(
                f"{FUNDING_COVERAGE}: ArangoDB {refused}; see the server's log"
            )
        lost = {
            each.name for each, result in zip(changed, results, strict=True) if not result.written
        }
        pending = {name: pending[name] for name in pending if name in lost}
        if pending:
            # Another writer was first; or what was read is old, which does not end by itself.
            requests.back_off(StaleCoordinatorError("showed spans that have changed since"))


def _changed(
    kind: str, found: dict[str, list[Window]], requests: RetryingRequests
) -> list[_Coverage]:
    """The next versions of those documents that are extended."""
    keys = [coverage_key(kind, name) for name in found]
    stored = requests.find_documents(FUNDING_COVERAGE, keys)
    changed: list[_Coverage] = []
    for (name, spans), document in zip(found.items(), stored, strict=True):
        old = None if document is None else _coverage(document)
        span = None if old is None else old.span
        for each in spans:
            span = extend_span(span, each)
        assert span is not None, "no name is without a span"
        if old is None or span != old.span:
            version = 1 if old is None else old.version + 1
            changed.append(_Coverage(kind, name, span.start, span.end, version))
    return changed


def _coverage(document: Document) -> _Coverage:
    try:
        return msgspec.convert(document, _Coverage)
    except msgspec.ValidationError as error:
        what = f"has a damaged document {FUNDING_COVERAGE}/{document['_key']} ({error})"
        raise UnexpectedDocumentError(
            what, cure="delete it: the next job proves it again"
        ) from error
