"""The states of jobs in ArangoDB: a document for the state of a job, and one for the request."""

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from chimera_s1.adapters.arango.coordinator import Request
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.layout import JOB_RUNS, document_key
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests
from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.operations.job_state import JobState, unreadable_state
from chimera_s1.domain.ports.job_runs import StoredJob

_KEEP_NEWER = {"overwriteMode": "replace", "versionAttribute": "version"}
_REPLACE = {"overwriteMode": "replace"}
_PATH = f"/_api/document/{JOB_RUNS}"


class ArangoJobRuns:
    """Implements `domain.ports.job_runs.JobRuns`."""

    def __init__(self, database: ArangoDatabase) -> None:
        self._database = database

    async def read(self, names: Sequence[str]) -> Mapping[str, StoredJob]:
        return await self._database.run_projection(partial(_read, names))

    async def write(self, state: JobState) -> bool:
        return await self._database.run_projection(partial(_write, state))

    async def request(self, name: str, request: str) -> None:
        document = {"_key": _request_key(name), "name": name, "request": request}
        write = Request("post", _PATH, _REPLACE, document)
        await self._database.run_projection(lambda requests: requests.send(write))


def _read(names: Sequence[str], requests: RetryingRequests) -> Mapping[str, StoredJob]:
    keys = [*map(document_key, names), *map(_request_key, names)]
    found = requests.find_documents(JOB_RUNS, keys) if keys else []
    states, asked = found[: len(names)], found[len(names) :]
    return {
        name: StoredJob(
            None if state is None else _decoded(name, state),
            "" if request is None else str(request["request"]),
        )
        for name, state, request in zip(names, states, asked, strict=True)
    }


def _decoded(name: str, document: Document) -> JobState:
    try:
        return msgspec.convert(document, JobState)
    except msgspec.ValidationError:
        version = document.get("version")
        return unreadable_state(name, version if isinstance(version, int) else 0)


def _write(state: JobState, requests: RetryingRequests) -> bool:
    document: Document = {**msgspec.to_builtins(state), "_key": document_key(state.name)}
    result = requests.send(Request("post", _PATH, _KEEP_NEWER, document)).decode(Document)
    if result.get("_oldRev") != result["_rev"]:
        return True
    # Not newer than what is stored, which may be this state, from an attempt whose reply was lost.
    return _read([state.name], requests)[state.name].state == state


def _request_key(name: str) -> str:
    return document_key(f"request to {name}")
