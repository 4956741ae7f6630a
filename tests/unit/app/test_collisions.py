"""Capabilities that claim the same name are a defect, named when the service starts."""

from http import HTTPStatus

import anyio
import pytest

from chimera_s1.app.supervisor import Worker, supervise
from chimera_s1.app.web.access.control_access import ControlAccess
from chimera_s1.app.web.application import create_web_app
from chimera_s1.app.web.problem_kinds import ProblemKind, ProblemTable
from chimera_s1.app.web.web_part import WebPart
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.operations.rate_limit import RateLimit
from tests.fakes.manual_clock import ManualClock


class ExampleError(ChimeraError):
    code = "example"


NOT_FOUND = ProblemKind("example", HTTPStatus.NOT_FOUND, "There is no example")
CONFLICT = ProblemKind("example", HTTPStatus.CONFLICT, "Examples differ")


async def test_workers_have_different_names() -> None:
    workers = (Worker("reads", anyio.sleep_forever), Worker("reads", anyio.sleep_forever))

    with pytest.raises(AssertionError, match="reads"):
        await supervise(workers, anyio.Event())


def test_a_route_parameter_is_provided_once() -> None:
    parts = [WebPart(dependencies={"reader": 1}), WebPart(dependencies={"reader": 2})]
    access = ControlAccess(
        None, limit=RateLimit(1, burst=1), clock=ManualClock(), record=lambda _kind, _detail: None
    )

    with pytest.raises(AssertionError, match="reader"):
        create_web_app(parts, access)


def test_an_error_is_one_problem() -> None:
    with pytest.raises(AssertionError, match="ExampleError"):
        ProblemTable([{ExampleError: NOT_FOUND}, {ExampleError: CONFLICT}])


def test_two_capabilities_may_share_a_problem() -> None:
    """Both ledgers answer with the problems of a ledger."""
    table = ProblemTable([{ExampleError: NOT_FOUND}, {ExampleError: NOT_FOUND}])

    assert table.kind_of(ExampleError("none")) is NOT_FOUND
