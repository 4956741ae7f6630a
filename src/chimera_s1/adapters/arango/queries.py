"""Every AQL query. Values are bound, never written into the text."""

from typing import Final

HEAD_COMMIT: Final = """
    FOR c IN @@commits
      FILTER c._key >= @first AND c._key <= @last
      SORT c._key DESC
      LIMIT 1
      RETURN c
"""

NEXT_COMMIT_KEY: Final = """
    FOR c IN @@commits
      FILTER c._key > @after AND c._key <= @last
      SORT c._key
      LIMIT 1
      RETURN c._key
"""

COMMIT_BY_ID: Final = """
    FOR c IN @@commits
      FILTER c.ledger == @ledger AND c.commit_id == @commit_id
      LIMIT 1
      RETURN c
"""

COMMITS_OF_STREAM: Final = """
    FOR c IN @@commits
      FILTER c.ledger == @ledger AND @stream IN c.streams[*]
      SORT c.seq
      RETURN c
"""

NEWEST_TRANSFERS: Final = """
    FOR t IN @@transfers
      FILTER t.place < @before
      SORT t.place DESC
      LIMIT @limit
      RETURN t
"""

NEWEST_TRANSFERS_OF_STATUS: Final = """
    FOR t IN @@transfers
      FILTER t.status == @status AND t.place < @before
      SORT t.place DESC
      LIMIT @limit
      RETURN t
"""

REGISTRY_ROWS: Final = """
    FOR i IN @@registry
      FILTER i.venue == @venue
      RETURN i
"""

CHANGE_BATCHES: Final = """
    FOR b IN @@changes
      FILTER b._key > @after AND b.newest_at >= @since
      SORT b._key
      LIMIT @limit
      RETURN b
"""

OLDEST_BATCHES: Final = """
    FOR b IN @@changes
      FILTER b._key < @before
      SORT b._key
      LIMIT @limit
      RETURN { key: b._key, newest_at: b.newest_at, changes: LENGTH(b.changes) }
"""

LETTERS: Final = """
    FOR l IN @@letters
      FILTER l._key > @after
      SORT l._key
      LIMIT @limit
      RETURN l
"""

OLDEST_LETTERS: Final = """
    FOR l IN @@letters
      SORT l._key DESC
      LIMIT @keep, @limit
      RETURN l._key
"""

LETTER_COUNT: Final = """
    RETURN LENGTH(@@letters)
"""

FUNDING_PAGE: Final = """
    FOR f IN @@records
      FILTER f.place > @after AND f.place < @before
      SORT f.place
      LIMIT @limit
      RETURN f
"""

FUNDING_PAGE_OF_SYMBOL: Final = """
    FOR f IN @@records
      FILTER f.symbol == @symbol AND f.place > @after AND f.place < @before
      SORT f.place
      LIMIT @limit
      RETURN f
"""

FUNDING_BY_DAY: Final = """
    FOR f IN @@records
      FILTER f.place > @after AND f.place < @before
      COLLECT day = FLOOR(f.funding_time / @day_ms), symbol = f.symbol
        INTO amounts = f.amount_usdt_text
      RETURN { day, symbol, amounts }
"""

FUNDING_BY_DAY_OF_SYMBOL: Final = """
    FOR f IN @@records
      FILTER f.symbol == @symbol AND f.place > @after AND f.place < @before
      COLLECT day = FLOOR(f.funding_time / @day_ms), symbol = f.symbol
        INTO amounts = f.amount_usdt_text
      RETURN { day, symbol, amounts }
"""

FUNDING_DISPUTES: Final = """
    FOR d IN @@disputes
      SORT d.place DESC
      LIMIT @limit
      RETURN d
"""

FUNDING_DISPUTES_OF_SYMBOL: Final = """
    FOR d IN @@disputes
      FILTER d.symbol == @symbol
      SORT d.place DESC
      LIMIT @limit
      RETURN d
"""

FUNDING_COVERAGE: Final = """
    FOR c IN @@coverage
      FILTER c.kind == @kind
      RETURN c
"""
