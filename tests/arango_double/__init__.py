"""A double of ArangoDB: real HTTP on 127.0.0.1, in the recorded shapes of 3.12.10.

It knows the part of the HTTP API that the adapter uses: databases, collections, persistent indexes,
documents, Basic authentication, and the AQL texts listed in `queries`. It answers anything else
with 501 instead of guessing.

    with arango_double(coordinators=2) as double:
        fault = double.faults.arm("apply-then-drop", method="POST", path="/_api/document/log")
        ...
        assert fault.fired == 1

It cannot show failover, how long locks last, how far coordinators lag, or loss below the write
concern. Only a cluster can.
"""

from tests.arango_double.double import ArangoDouble, arango_double

__all__ = ["ArangoDouble", "arango_double"]
