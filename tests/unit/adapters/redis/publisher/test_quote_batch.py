"""Which quotes of a call are acknowledged, and which are unpublished."""

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.redis.publisher.quote_batch import QuoteBatch
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.quote import Quote

SYMBOLS = st.sampled_from(["A", "B", "C"])
SOURCES = st.sampled_from(["bookTicker", "depth5"])


def quote(symbol: str, source: str, update: int) -> Quote:
    instrument = InstrumentId(Venue.SPOT, Symbol(symbol))
    return Quote(instrument, 1, 1.0, 1.0, 2.0, 1.0, source, update, 1)


quotes = st.lists(st.tuples(SYMBOLS, SOURCES), max_size=30).map(
    lambda rows: [quote(symbol, source, update) for update, (symbol, source) in enumerate(rows)]
)


@given(quotes, st.data())
def test_unpublished_quotes_exclude_superseded_ones(
    offered: list[Quote], data: st.DataObject
) -> None:
    """Each quote is acknowledged, unpublished, or superseded by an acknowledged one."""
    batch = QuoteBatch(offered)
    acknowledged = data.draw(
        st.sets(st.sampled_from(range(len(offered)))) if offered else st.just(set())
    )
    for position in acknowledged:
        batch.acknowledge(position)

    report = batch.report()

    assert report.published == len(acknowledged)
    assert [offered[position] for position in batch.unpublished()] == list(report.unpublished)
    assert list(report.unpublished) == sorted(report.unpublished, key=lambda q: q.update_id)
    for position, one in enumerate(offered):
        later = [
            p
            for p in acknowledged
            if p > position
            and (offered[p].instrument, offered[p].source) == (one.instrument, one.source)
        ]
        assert (one in report.unpublished) is (position not in acknowledged and not later)


def test_each_cause_is_reported_once() -> None:
    """None is reported if everything was published."""
    batch = QuoteBatch([quote("A", "bookTicker", 1)])
    batch.causes += ["first", "second", "first"]

    assert batch.report().cause == "first; second"
    batch.acknowledge(0)
    assert batch.report().cause == ""
