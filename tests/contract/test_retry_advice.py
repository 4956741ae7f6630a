"""What to do after a problem is said alike by the service, its description, the pages and the
client.
"""

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from chimera_s1.app.capabilities.treasury.web.openapi import TRANSFER_RESPONSES
from chimera_s1.app.web.problem_kinds import Advice, ProblemKind
from chimera_s1_client.http_session import HttpReply
from chimera_s1_client.transfer import RetryNeeded, interpret_reply
from tests.contract.treasury_api_client import TRANSFER
from tests.contract.web_parts import WebParts, description

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = DOCS / "how-to"
ID = "one"
ACCEPTED = {200, 202}
CODE = re.compile(r"\b([45][0-9]{2})(?: \| | )`([a-z_.]+)`")
ROW = re.compile(r"^\| ([0-9][^|]*) \| (.*) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def kinds() -> tuple[ProblemKind, ...]:
    table: tuple[ProblemKind, ...] = WebParts().app.state.problem_table.kinds
    return table


def statuses(text: str) -> set[int]:
    return set(map(int, re.findall(r"\b[2-5][0-9]{2}\b", text)))


def advice_on(page: str) -> dict[int, str]:
    """What the page's table "what to do" says about each status."""
    text = (HOW_TO / page).read_text(encoding="utf-8")
    _, _, table = text.partition("| status | what to do |\n")
    table = table.partition("\n\n")[0]
    return {status: row[2] for row in ROW.finditer(table) for status in statuses(row[1])}


def described() -> set[int]:
    """The statuses of the routes that request and read a transfer."""
    paths = description()["paths"]
    operations = (paths[TRANSFER]["post"], paths[f"{TRANSFER}/{{transfer_id}}"]["get"])
    return {int(status) for operation in operations for status in operation["responses"]}


def advice(status: int) -> Advice:
    return ProblemKind("any", HTTPStatus(status), "any").advice


@pytest.mark.parametrize("page", ["move-money.md", "give-access.md"])
def test_page_gives_the_advice_of_the_service(page: str) -> None:
    found = {status: text for status, text in advice_on(page).items() if status not in ACCEPTED}

    assert found
    assert not {
        (status, text) for status, text in found.items() if advice(status).value not in text
    }


def test_pages_give_each_code_the_status_of_the_service(kinds: tuple[ProblemKind, ...]) -> None:
    """`503 code` in a sentence and `| 503 | code |` in a table, in the runbook and the how-tos."""
    status_by_code = {kind.code: int(kind.status) for kind in kinds}
    pages = [DOCS / "runbook.md", *HOW_TO.glob("*.md")]
    named = {
        (page.name, code, int(status))
        for page in pages
        for status, code in CODE.findall(page.read_text(encoding="utf-8"))
    }

    assert {page for page, _, _ in named} >= {"runbook.md", "move-money.md", "give-access.md"}
    assert not {row for row in named if status_by_code.get(row[1]) != row[2]}


def test_page_of_transfers_has_every_status_of_its_routes() -> None:
    """A defect of the service, 500, is not described."""
    assert advice_on("move-money.md").keys() == described() | {500}


def test_rule_for_programs_lists_what_ends_a_retry() -> None:
    text = (HOW_TO / "move-money.md").read_text(encoding="utf-8")
    _, _, rule = text.partition("4. After anything but ")
    final = {status for status in described() if advice(status) is not Advice.RETRY}

    assert statuses(rule.partition(", also")[0]) == final | ACCEPTED


def test_description_of_the_route_names_what_is_retried() -> None:
    text = description()["paths"][TRANSFER]["post"]["description"]
    _, _, sentence = text.partition("After 202, ")
    retried = {status for status in TRANSFER_RESPONSES if advice(status) is Advice.RETRY}

    assert statuses(sentence.partition("do so")[0]) == retried | {500}


async def test_schema_page_has_the_advice_for_every_kind(kinds: tuple[ProblemKind, ...]) -> None:
    async with WebParts().client() as client:
        page = (await client.get("/schema")).text

    for kind in kinds:
        row = page.partition(f'<tr id="{kind.code}">')[2].partition("</tr>")[0]
        assert kind.advice.partition(",")[0] in row
        assert f"<td>{int(kind.status)}</td>" in row


def test_client_retries_what_the_service_advises() -> None:
    retried = {
        status
        for status in {*TRANSFER_RESPONSES, 500} - ACCEPTED
        if isinstance(interpret_reply(HttpReply(status, b"{}"), ID), RetryNeeded)
    }

    assert retried == {
        status for status in {*TRANSFER_RESPONSES, 500} if advice(status) is Advice.RETRY
    }
