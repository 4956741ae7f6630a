"""States of orders, as far as they matter to us; an unknown one counts as open."""

CLOSED = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"})
ALGO_CLOSED = frozenset({"FINISHED", "CANCELED", "REJECTED", "EXPIRED"})
LIST_CLOSED = frozenset({"ALL_DONE", "REJECT"})
