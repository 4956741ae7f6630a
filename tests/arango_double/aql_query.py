"""
Runs the AQL of `aql_grammar`.
"""

import operator
from collections.abc import Callable, Iterable
from typing import Any, assert_never

from tests.arango_double.aql_grammar import (
    Attribute,
    Bind,
    Clause,
    Clock,
    Comparison,
    Constant,
    Filter,
    Limit,
    Loop,
    Operand,
    Sort,
    parse,
)
from tests.arango_double.aql_order import Order, order_of
from tests.arango_double.errors import ArangoError
from tests.arango_double.indexes import Document, attribute
from tests.arango_double.store import Database

_SIGNS: dict[str, Callable[[Order, Order], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


def run_query(
    query: str, values: dict[str, Any], database: Database, now_ms: Callable[[], int]
) -> list[Any]:
    """
    Everything *query* returns.

    Args:
        values: Of the bind variables.

    Raises:
        ArangoError: 400/1502 empty; 400/1551 a bind variable without value, 1552 one that is not
            in the query, 1553 of a wrong type; 404/1203 no such collection; 501 another statement.
    """
    if not query.strip():
        raise ArangoError(400, 1502, "query is empty")
    statement, binds = parse(query)
    _check_binds(binds, set(values))
    match statement:
        case Clock():
            return [now_ms()]
        case Loop():
            return _Run(values).loop(statement, database)
        case _:
            assert_never(statement)


def _check_binds(used: set[str], given: set[str]) -> None:
    if missing := sorted(used - given):
        raise ArangoError(
            400, 1551, f"AQL: no value specified for declared bind parameter '{missing[0]}'"
        )
    if undeclared := sorted(given - used):
        raise ArangoError(
            400, 1552, f"AQL: bind parameter '{undeclared[0]}' was not declared in the query"
        )


class _Run:
    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def loop(self, loop: Loop, database: Database) -> list[Any]:
        name = self._values[loop.collection.name]
        if not isinstance(name, str):
            raise _wrong_type(loop.collection)
        documents: Iterable[Document] = database[name]
        for clause in loop.clauses:
            documents = self._apply(clause, documents)
        if loop.kept is not None:
            names = loop.kept
            return [{n: each[n] for n in names if n in each} for each in documents]
        if loop.returned:
            return [attribute(each, loop.returned) for each in documents]
        return list(documents)

    def _apply(self, clause: Clause, documents: Iterable[Document]) -> Iterable[Document]:
        match clause:
            case Filter(conditions):
                return [each for each in documents if self._fulfils(conditions, each)]
            case Sort(keys):
                ordered = list(documents)
                for key in reversed(keys):
                    path = key.path
                    ordered.sort(
                        key=lambda each, path=path: order_of(attribute(each, path)),  # type: ignore[misc]  # mypy sees no default of a lambda
                        reverse=key.descending,
                    )
                return ordered
            case Limit(offset, count):
                first = self._number(offset)
                return list(documents)[first : first + self._number(count)]
            case _:
                assert_never(clause)

    def _fulfils(self, conditions: tuple[Comparison, ...], document: Document) -> bool:
        return all(self._holds(each, document) for each in conditions)

    def _holds(self, condition: Comparison, document: Document) -> bool:
        left = self._value(condition.left, document)
        right = self._value(condition.right, document)
        if condition.sign != "IN":
            return _SIGNS[condition.sign](order_of(left), order_of(right))
        place = order_of(left)
        return isinstance(right, list) and any(order_of(each) == place for each in right)

    def _value(self, operand: Operand, document: Document) -> Any:
        match operand:
            case Bind(name):
                return self._values[name]
            case Constant(value):
                return value
            case Attribute(path, expanded):
                value = attribute(document, path)
                return [] if expanded and not isinstance(value, list) else value
            case _:
                assert_never(operand)

    def _number(self, operand: Bind | Constant) -> int:
        value = self._values[operand.name] if isinstance(operand, Bind) else operand.value
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise _wrong_type(operand)
        return value


def _wrong_type(operand: Bind | Constant) -> ArangoError:
    name = operand.name if isinstance(operand, Bind) else operand.value
    return ArangoError(400, 1553, f"AQL: bind parameter '{name}' has an invalid value or type")
