"""The AQL texts that this double answers, each with a function of its own.

They are copies of the adapter's texts; a contract test compares them. White space may differ.
The double answers any other text with 501.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from tests.arango_double.errors import ArangoError, UnknownRequestError
from tests.arango_double.indexes import Document
from tests.arango_double.store import Database
from tests.arango_double.value_order import order_of

HEAD_COMMIT = """
    FOR c IN @@commits
      FILTER c._key >= @first AND c._key <= @last
      SORT c._key DESC
      LIMIT 1
      RETURN c
"""

NEXT_COMMIT_KEY = """
    FOR c IN @@commits
      FILTER c._key > @after AND c._key <= @last
      SORT c._key
      LIMIT 1
      RETURN c._key
"""

COMMIT_BY_ID = """
    FOR c IN @@commits
      FILTER c.ledger == @ledger AND c.commit_id == @commit_id
      LIMIT 1
      RETURN c
"""

COMMITS_OF_STREAM = """
    FOR c IN @@commits
      FILTER c.ledger == @ledger AND @stream IN c.streams[*]
      SORT c.seq
      RETURN c
"""

NEWEST_TRANSFERS = """
    FOR t IN @@transfers
      FILTER t.place < @before
      SORT t.place DESC
      LIMIT @limit
      RETURN t
"""

NEWEST_TRANSFERS_OF_STATUS = """
    FOR t IN @@transfers
      FILTER t.status == @status AND t.place < @before
      SORT t.place DESC
      LIMIT @limit
      RETURN t
"""

REGISTRY_ROWS = """
    FOR i IN @@registry
      FILTER i.venue == @venue
      RETURN i
"""

CHANGE_BATCHES = """
    FOR b IN @@changes
      FILTER b._key > @after AND b.newest_at >= @since
      SORT b._key
      LIMIT @limit
      RETURN b
"""

OLDEST_BATCHES = """
    FOR b IN @@changes
      FILTER b._key < @before
      SORT b._key
      LIMIT @limit
      RETURN { key: b._key, newest_at: b.newest_at, changes: LENGTH(b.changes) }
"""

LETTERS = """
    FOR l IN @@letters
      FILTER l._key > @after
      SORT l._key
      LIMIT @limit
      RETURN l
"""

OLDEST_LETTERS = """
    FOR l IN @@letters
      SORT l._key DESC
      LIMIT @keep, @limit
      RETURN l._key
"""

LETTER_COUNT = """
    RETURN LENGTH(@@letters)
"""

FUNDING_PAGE = """
    FOR f IN @@records
      FILTER f.place > @after AND f.place < @before
      SORT f.place
      LIMIT @limit
      RETURN f
"""

FUNDING_PAGE_OF_SYMBOL = """
    FOR f IN @@records
      FILTER f.symbol == @symbol AND f.place > @after AND f.place < @before
      SORT f.place
      LIMIT @limit
      RETURN f
"""

FUNDING_BY_DAY = """
    FOR f IN @@records
      FILTER f.place > @after AND f.place < @before
      COLLECT day = FLOOR(f.funding_time / @day_ms), symbol = f.symbol
        INTO amounts = f.amount_usdt_text
      RETURN { day, symbol, amounts }
"""

FUNDING_BY_DAY_OF_SYMBOL = """
    FOR f IN @@records
      FILTER f.symbol == @symbol AND f.place > @after AND f.place < @before
      COLLECT day = FLOOR(f.funding_time / @day_ms), symbol = f.symbol
        INTO amounts = f.amount_usdt_text
      RETURN { day, symbol, amounts }
"""

FUNDING_DISPUTES = """
    FOR d IN @@disputes
      SORT d.place DESC
      LIMIT @limit
      RETURN d
"""

FUNDING_DISPUTES_OF_SYMBOL = """
    FOR d IN @@disputes
      FILTER d.symbol == @symbol
      SORT d.place DESC
      LIMIT @limit
      RETURN d
"""

FUNDING_COVERAGE = """
    FOR c IN @@coverage
      FILTER c.kind == @kind
      RETURN c
"""

_BIND_VARIABLE = re.compile(r"@(@?\w+)")


class _Run(Struct, frozen=True):
    """One execution of a query.

    Attributes:
        binds: Values of the bind variables; `@commits` is the name bound to `@@commits`.
    """

    binds: dict[str, Any]
    database: Database

    def documents(self, bind: str) -> Iterable[Document]:
        name = self.binds[bind]
        if not isinstance(name, str):
            raise _wrong_type(bind)
        return self.database[name]

    def count(self, bind: str) -> int:
        value = self.binds[bind]
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise UnknownRequestError(f"LIMIT {value!r}")
        return value

    def equal(self, document: Document, *names: str) -> bool:
        """Whether each attribute equals the bind variable of the same name."""
        return all(order_of(document.get(each)) == order_of(self.binds[each]) for each in names)


def _head_commit(run: _Run) -> list[Any]:
    first, last = order_of(run.binds["first"]), order_of(run.binds["last"])
    found = [c for c in run.documents("@commits") if first <= order_of(c["_key"]) <= last]
    return _sorted(found, "_key", descending=True)[:1]


def _next_commit_key(run: _Run) -> list[Any]:
    after, last = order_of(run.binds["after"]), order_of(run.binds["last"])
    found = [c for c in run.documents("@commits") if after < order_of(c["_key"]) <= last]
    return [c["_key"] for c in _sorted(found, "_key")[:1]]


def _commit_by_id(run: _Run) -> list[Any]:
    return [c for c in run.documents("@commits") if run.equal(c, "ledger", "commit_id")][:1]


def _commits_of_stream(run: _Run) -> list[Any]:
    stream = run.binds["stream"]
    found = [
        c
        for c in run.documents("@commits")
        if run.equal(c, "ledger") and stream in _list(c.get("streams"))
    ]
    return _sorted(found, "seq")


def _newest_transfers(run: _Run) -> list[Any]:
    return _newest(run, run.documents("@transfers"))


def _newest_transfers_of_status(run: _Run) -> list[Any]:
    return _newest(run, [t for t in run.documents("@transfers") if run.equal(t, "status")])


def _registry_rows(run: _Run) -> list[Any]:
    return [i for i in run.documents("@registry") if run.equal(i, "venue")]


def _change_batches(run: _Run) -> list[Any]:
    after, since = order_of(run.binds["after"]), order_of(run.binds["since"])
    found = [
        b
        for b in run.documents("@changes")
        if order_of(b["_key"]) > after and order_of(b.get("newest_at")) >= since
    ]
    return _sorted(found, "_key")[: run.count("limit")]


def _oldest_batches(run: _Run) -> list[Any]:
    before = order_of(run.binds["before"])
    found = [b for b in run.documents("@changes") if order_of(b["_key"]) < before]
    return [
        {"key": b["_key"], "newest_at": b.get("newest_at"), "changes": len(_list(b.get("changes")))}
        for b in _sorted(found, "_key")[: run.count("limit")]
    ]


def _letters(run: _Run) -> list[Any]:
    after = order_of(run.binds["after"])
    found = [each for each in run.documents("@letters") if order_of(each["_key"]) > after]
    return _sorted(found, "_key")[: run.count("limit")]


def _oldest_letters(run: _Run) -> list[Any]:
    found = _sorted(list(run.documents("@letters")), "_key", descending=True)
    keep = run.count("keep")
    return [each["_key"] for each in found[keep : keep + run.count("limit")]]


def _letter_count(run: _Run) -> list[Any]:
    return [len(list(run.documents("@letters")))]


def _funding_page(run: _Run) -> list[Any]:
    return _sorted(_in_window(run), "place")[: run.count("limit")]


def _funding_by_day(run: _Run) -> list[Any]:
    groups: dict[tuple[int, str], list[Any]] = {}
    for each in _in_window(run):
        day = each["funding_time"] // run.binds["day_ms"]
        groups.setdefault((day, each["symbol"]), []).append(each.get("amount_usdt_text"))
    return [
        {"day": day, "symbol": symbol, "amounts": amounts}
        for (day, symbol), amounts in groups.items()
    ]


def _in_window(run: _Run) -> list[Document]:
    after, before = order_of(run.binds["after"]), order_of(run.binds["before"])
    return [
        f
        for f in run.documents("@records")
        if ("symbol" not in run.binds or run.equal(f, "symbol"))
        and after < order_of(f.get("place")) < before
    ]


def _funding_disputes(run: _Run) -> list[Any]:
    found = [
        d for d in run.documents("@disputes") if "symbol" not in run.binds or run.equal(d, "symbol")
    ]
    return _sorted(found, "place", descending=True)[: run.count("limit")]


def _funding_coverage(run: _Run) -> list[Any]:
    return [c for c in run.documents("@coverage") if run.equal(c, "kind")]


def _newest(run: _Run, transfers: Iterable[Document]) -> list[Any]:
    before = order_of(run.binds["before"])
    found = [t for t in transfers if order_of(t.get("place")) < before]
    return _sorted(found, "place", descending=True)[: run.count("limit")]


def _sorted(documents: list[Document], name: str, *, descending: bool = False) -> list[Document]:
    return sorted(documents, key=lambda each: order_of(each.get(name)), reverse=descending)


def _list(value: object) -> list[Any]:
    # AQL expands anything that is not an array to an empty array.
    return value if isinstance(value, list) else []


def one_line(query: str) -> str:
    """*query* with each run of white space as one space."""
    return " ".join(query.split())


KNOWN_QUERIES: dict[str, Callable[[_Run], list[Any]]] = {
    one_line(HEAD_COMMIT): _head_commit,
    one_line(NEXT_COMMIT_KEY): _next_commit_key,
    one_line(COMMIT_BY_ID): _commit_by_id,
    one_line(COMMITS_OF_STREAM): _commits_of_stream,
    one_line(NEWEST_TRANSFERS): _newest_transfers,
    one_line(NEWEST_TRANSFERS_OF_STATUS): _newest_transfers_of_status,
    one_line(REGISTRY_ROWS): _registry_rows,
    one_line(CHANGE_BATCHES): _change_batches,
    one_line(OLDEST_BATCHES): _oldest_batches,
    one_line(LETTERS): _letters,
    one_line(OLDEST_LETTERS): _oldest_letters,
    one_line(LETTER_COUNT): _letter_count,
    one_line(FUNDING_PAGE): _funding_page,
    one_line(FUNDING_PAGE_OF_SYMBOL): _funding_page,
    one_line(FUNDING_BY_DAY): _funding_by_day,
    one_line(FUNDING_BY_DAY_OF_SYMBOL): _funding_by_day,
    one_line(FUNDING_DISPUTES): _funding_disputes,
    one_line(FUNDING_DISPUTES_OF_SYMBOL): _funding_disputes,
    one_line(FUNDING_COVERAGE): _funding_coverage,
}


def run_query(query: str, binds: dict[str, Any], database: Database) -> list[Any]:
    """All rows of *query*.

    Raises:
        ArangoError: 400/1502 empty query; 400/1551 a bind variable without a value, 1552 a value
            without a bind variable, 1553 a value of the wrong type; 404/1203 no such collection.
        UnknownRequestError: Another query.
    """
    text = one_line(query)
    if not text:
        raise ArangoError(400, 1502, "query is empty")
    answer = KNOWN_QUERIES.get(text)
    if answer is None:
        raise UnknownRequestError(f"the AQL query {query!r}")
    _check_binds(set(_BIND_VARIABLE.findall(text)), set(binds))
    return answer(_Run(binds, database))


def _check_binds(used: set[str], given: set[str]) -> None:
    if missing := sorted(used - given):
        raise ArangoError(
            400, 1551, f"AQL: no value specified for declared bind parameter '{missing[0]}'"
        )
    if undeclared := sorted(given - used):
        raise ArangoError(
            400, 1552, f"AQL: bind parameter '{undeclared[0]}' was not declared in the query"
        )


def _wrong_type(bind: str) -> ArangoError:
    return ArangoError(400, 1553, f"AQL: bind parameter '{bind}' has an invalid value or type")
