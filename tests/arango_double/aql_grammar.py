"""
The AQL this double reads: one loop over one collection, or the clock.

    FOR x IN @@c
      FILTER x.a >= @lo AND x.b == "text" AND @s IN x.list[*]
      SORT x.a DESC, x._key
      LIMIT @offset, 10
      RETURN x | x.a | KEEP(x, "a", "b")

    RETURN DATE_NOW()

The clauses between FOR and RETURN come in any number and order, and are done in that order.
"""

import re
from typing import Any

import orjson
from msgspec import Struct

from tests.arango_double.errors import UnknownRequestError

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>-?\d+(?:\.\d+)?) | (?P<text>"[^"\\]*"|'[^'\\]*') | (?P<bind>@@?\w+)
    | (?P<word>[A-Za-z_]\w*) | (?P<sign>==|!=|<=|>=|&&|\[\*\]|[<>.,()])
    )""",
    re.VERBOSE,
)
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
_CONSTANTS = {"NULL": None, "TRUE": True, "FALSE": False}
_KEYWORDS = {"FOR", "IN", "FILTER", "AND", "OR", "NOT", "SORT", "ASC", "DESC", "LIMIT", "RETURN"}


class Bind(Struct, frozen=True):
    """
    A bind variable, named as in `bindVars`: `@c` for `@@c`.
    """

    name: str


class Constant(Struct, frozen=True):
    """
    A value written out.
    """

    value: Any


class Attribute(Struct, frozen=True):
    """
    A dotted path into the document; empty for the document itself.

    Attributes:
        expanded: Written with `[*]`.
    """

    path: str
    expanded: bool = False


Operand = Bind | Constant | Attribute


class Comparison(Struct, frozen=True):
    """
    Two operands and one of == != <= >= < > IN between them.
    """

    left: Operand
    sign: str
    right: Operand


class Filter(Struct, frozen=True):
    """
    Keeps what fulfils all conditions.
    """

    conditions: tuple[Comparison, ...]


class SortKey(Struct, frozen=True):
    """
    One of the attributes to sort by.
    """

    path: str
    descending: bool


class Sort(Struct, frozen=True):
    """
    Sorts by the first key, then the second.
    """

    keys: tuple[SortKey, ...]


class Limit(Struct, frozen=True):
    """
    Leaves out *offset*, keeps *count*.
    """

    offset: Bind | Constant
    count: Bind | Constant


Clause = Filter | Sort | Limit


class Loop(Struct, frozen=True):
    """
    FOR ... RETURN.

    Attributes:
        returned: Of each document: the path of one attribute, empty for all of it.

        kept: Names that KEEP leaves; None without KEEP.
    """

    collection: Bind
    clauses: tuple[Clause, ...]
    returned: str
    kept: tuple[str, ...] | None


class Clock(Struct, frozen=True):
    """
    RETURN DATE_NOW().
    """


def parse(query: str) -> tuple[Loop | Clock, set[str]]:
    """
    What *query* says, and the bind variables in it.

    Raises:
        UnknownRequestError: It is not of this grammar; it may well be AQL.
    """
    parser = _Parser(query)
    return parser.statement(), parser.binds


class _Parser:
    def __init__(self, query: str) -> None:
        self.binds: set[str] = set()
        self._query = query
        self._tokens = self._split()
        self._at = 0
        self._variable = ""

    def statement(self) -> Loop | Clock:
        if self._take("RETURN"):
            for token in ("DATE_NOW", "(", ")"):
                self._need(token)
            self._need_end()
            return Clock()
        self._need("FOR")
        self._variable = self._name()
        self._need("IN")
        collection = self._bind()
        if not collection.name.startswith("@"):
            raise self._unknown()
        clauses: list[Clause] = []
        while not self._take("RETURN"):
            clauses.append(self._clause())
        returned, kept = self._projection()
        self._need_end()
        return Loop(collection, tuple(clauses), returned, kept)

    def _clause(self) -> Clause:
        if self._take("FILTER"):
            conditions = [self._comparison()]
            while self._take("AND") or self._take("&&"):
                conditions.append(self._comparison())
            return Filter(tuple(conditions))
        if self._take("SORT"):
            keys = [self._sort_key()]
            while self._take(","):
                keys.append(self._sort_key())
            return Sort(tuple(keys))
        self._need("LIMIT")
        first = self._amount()
        return Limit(first, self._amount()) if self._take(",") else Limit(Constant(0), first)

    def _comparison(self) -> Comparison:
        left = self._operand()
        sign = next((sign for sign in (*_COMPARISONS, "IN") if self._take(sign)), None)
        if sign is None:
            raise self._unknown()
        return Comparison(left, sign, self._operand())

    def _sort_key(self) -> SortKey:
        path = self._attribute().path
        descending = self._take("DESC")
        if not descending:
            self._take("ASC")
        return SortKey(path, descending)

    def _projection(self) -> tuple[str, tuple[str, ...] | None]:
        if not self._take("KEEP"):
            return self._attribute(whole=True).path, None
        self._need("(")
        self._need(self._variable)
        names = []
        while self._take(","):
            names.append(str(self._constant().value))
        self._need(")")
        return "", tuple(names)

    def _operand(self) -> Operand:
        token = self._peek()
        if token.startswith("@"):
            return self._bind()
        if token == self._variable:
            return self._attribute()
        return self._constant()

    def _attribute(self, *, whole: bool = False) -> Attribute:
        self._need(self._variable)
        names = []
        while self._take("."):
            names.append(self._name())
        if not names and not whole:
            raise self._unknown()
        return Attribute(".".join(names), expanded=not whole and self._take("[*]"))

    def _amount(self) -> Bind | Constant:
        return self._bind() if self._peek().startswith("@") else self._constant()

    def _bind(self) -> Bind:
        token = self._next()
        if not token.startswith("@"):
            raise self._unknown()
        self.binds.add(token[1:])
        return Bind(token[1:])

    def _constant(self) -> Constant:
        token = self._next()
        if token.upper() in _CONSTANTS:
            return Constant(_CONSTANTS[token.upper()])
        if token[:1] in {'"', "'"}:
            return Constant(token[1:-1])
        if token.removeprefix("-")[:1].isdecimal():
            return Constant(orjson.loads(token))
        raise self._unknown()

    def _name(self) -> str:
        token = self._next()
        if not token.isidentifier() or token.upper() in _KEYWORDS:
            raise self._unknown()
        return token

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _take(self, wanted: str) -> bool:
        token = self._peek()
        taken = token == wanted or (token.upper() == wanted and wanted != self._variable)
        self._at += taken
        return taken

    def _need(self, wanted: str) -> None:
        if not self._take(wanted):
            self._at += 1
            raise self._unknown()

    def _need_end(self) -> None:
        if self._at < len(self._tokens):
            self._at += 1
            raise self._unknown()

    def _unknown(self) -> UnknownRequestError:
        near = " ".join(self._tokens[max(self._at - 2, 0) : self._at]) or "the beginning"
        return UnknownRequestError(f"this AQL, near {near!r}: {self._query}")

    def _split(self) -> list[str]:
        tokens, at, text = [], 0, self._query.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise UnknownRequestError(f"this AQL, from {text[at : at + 20]!r}: {text}")
            tokens.append(found.group().strip())
            at = found.end()
        return tokens
