"""The ArangoDB double with one collection, and python-arango connected to it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from arango.database import StandardDatabase
from arango.exceptions import ArangoServerError

from tests.arango_double import ArangoDouble, arango_double
from tests.contract.python_arango import OneRequestClient, connected

DATABASE = "treasury"
LOG = "log"
DOCUMENT = f"/_api/document/{LOG}"


class Rig:
    """Attributes:
    log: A collection without waitForSync.

    http: Holds the last response.
    """

    def __init__(
        self, double: ArangoDouble, database: StandardDatabase, http: OneRequestClient
    ) -> None:
        self.double = double
        self.database: Any = database
        self.log: Any = database.collection(LOG)
        self.http = http

    @property
    def status(self) -> int:
        """Of the last response."""
        assert self.http.last_response is not None
        return self.http.last_response.status_code

    @property
    def headers(self) -> Any:
        """Of the last response; names in any case."""
        assert self.http.last_response is not None
        return self.http.last_response.headers

    @property
    def body(self) -> Any:
        """Of the last response, as python-arango parsed it."""
        assert self.http.last_response is not None
        return self.http.last_response.body

    def stored(self) -> list[str]:
        """Keys of the stored documents."""
        return self.double.documents(DATABASE, LOG).keys()

    @contextmanager
    def refused(self, status: int, number: int) -> Iterator[None]:
        """The block ends in this error, in the server's shape."""
        with pytest.raises(ArangoServerError) as caught:
            yield
        assert (caught.value.http_code, caught.value.error_code) == (status, number)
        if isinstance(self.body, dict):
            assert self.body["error"] is True
            assert (self.body["code"], self.body["errorNum"]) == (status, number)

    def query(self, text: str, binds: Mapping[str, Any], batch_size: int | None = None) -> Any:
        """A cursor over the rows of a query."""
        return self.database.aql.execute(text, bind_vars=binds, batch_size=batch_size)

    def rows(self, text: str, **binds: Any) -> list[Any]:
        """All rows of a query over commits, which are in the log here."""
        return list(self.query(text, {"@commits": LOG, **binds}))


@contextmanager
def arango_rig(coordinators: int = 1) -> Iterator[Rig]:
    with arango_double(coordinators) as double, connected(double.urls[0]) as system:
        system.create_database(DATABASE)
        http = OneRequestClient()
        with connected(double.urls[0], DATABASE, http) as database:
            database.create_collection(LOG)
            yield Rig(double, database, http)
