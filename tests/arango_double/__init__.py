"""
A double of ArangoDB: real HTTP on 127.0.0.1, in the recorded shapes of 3.12.10.

It knows the part of the HTTP API that this project uses through python-arango: databases,
collections, indexes, documents, cursors over a few forms of AQL, Basic and JWT access. Anything
else is answered with 501, so that a test cannot lean on what was never looked at.

    with arango_double(coordinators=2) as double:
        fault = double.faults.arm("apply-then-drop", method="POST", path="/_api/document/log")
        ...
        assert fault.fired == 1

`python -m tests.arango_double --port 0 --coordinators 2` runs one as a process; it prints a line of
JSON with `urls` and `control_url`.

What it cannot show: failover, how long locks are waited for, how far coordinators lag, loss below
the write concern. Only a cluster can.
"""

from tests.arango_double.double import ArangoDouble, arango_double
from tests.arango_double.driver import OneRequestClient, connected
from tests.arango_double.faults import Fault
from tests.arango_double.process import double_process

__all__ = [
    "ArangoDouble",
    "Fault",
    "OneRequestClient",
    "arango_double",
    "connected",
    "double_process",
]
