"""A double of ArangoDB: real HTTP on 127.0.0.1, in the recorded shapes of 3.12.10.

It knows the part of the HTTP API that the adapter uses: databases, collections, persistent indexes,
documents, Basic authentication, and the AQL texts listed in `queries`. It answers anything else
with 501 instead of guessing.

    with arango_double(coordinators=2) as double:
        fault = double.faults.arm("apply-then-drop", method="POST", path="/_api/document/log")
        ...
        assert fault.fired == 1

It has no clock: the clocks of a cluster's servers differ, so the adapter asks none of them, and a
query that does is answered with 501.

It shows what a client meets in a failover, and not the failover itself; nor how long locks last,
how far coordinators lag, or loss below the write concern. Only a cluster can.
"""

from tests.arango_double.double import ArangoDouble, arango_double

__all__ = ["ArangoDouble", "arango_double"]
