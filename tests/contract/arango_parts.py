"""
A double of ArangoDB with one collection, and python-arango connected to it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from arango.database import StandardDatabase
from arango.exceptions import ArangoServerError

from tests.arango_double import ArangoDouble, OneRequestClient, arango_double, connected

DATABASE = "treasury"
LOG = "log"
DOCUMENT = f"/_api/document/{LOG}"


class Rig:
    """
    What a test of the double holds in its hands.

    Attributes:
        log: A collection that does not wait for the disk.

        http: For status and headers of the last answer.
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
        """
        Of the last answer.
        """
        assert self.http.last_response is not None
        return self.http.last_response.status_code

    @property
    def headers(self) -> Any:
        """
        Of the last answer, whatever the case of their names.
        """
        assert self.http.last_response is not None
        return self.http.last_response.headers

    @property
    def body(self) -> Any:
        """
        Of the last answer, as python-arango parsed it.
        """
        assert self.http.last_response is not None
        return self.http.last_response.body

    @contextmanager
    def refused(self, status: int, number: int) -> Iterator[None]:
        """
        The block ends in this error of the server, in the server's shape.
        """
        with pytest.raises(ArangoServerError) as caught:
            yield
        assert (caught.value.http_code, caught.value.error_code) == (status, number)
        if isinstance(self.body, dict):
            assert self.body["error"] is True
            assert (self.body["code"], self.body["errorNum"]) == (status, number)

    def rows(self, query: str, **binds: Any) -> list[Any]:
        """
        All that a query over the log returns.
        """
        return list(self.database.aql.execute(query, bind_vars={"@c": LOG, **binds}))


@contextmanager
def arango_rig(coordinators: int = 1) -> Iterator[Rig]:
    """
    A rig over its own double.
    """
    with arango_double(coordinators) as double, connected(double.urls[0]) as system:
        system.create_database(DATABASE)
        http = OneRequestClient()
        with connected(double.urls[0], DATABASE, http) as database:
            database.create_collection(LOG)
            yield Rig(double, database, http)
