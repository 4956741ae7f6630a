"""`/xchg/jobs`: what runs at regular times, and running it now."""

from typing import Annotated

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import PathParameter

from chimera_s1.app.capabilities.operations.run_jobs import (
    JobElsewhereError,
    JobRunningError,
    RunJobs,
    UnknownJobError,
)
from chimera_s1.app.capabilities.operations.web.job_schemas import JobListView, JobView
from chimera_s1.app.capabilities.operations.web.problems import (
    JOB_ELSEWHERE,
    JOB_RUNNING,
    JOB_UNKNOWN,
)
from chimera_s1.app.capability import JOB_NAME
from chimera_s1.app.web.problem_kinds import ACCESS_DISABLED, REQUEST_INVALID, STORE_UNAVAILABLE
from chimera_s1.app.web.problems import problem_spec
from chimera_s1.app.web.web_part import WebPart
from chimera_s1.domain.access.scopes import Scope

_JobName = Annotated[
    str,
    PathParameter(
        description="Name of the job, as `/xchg/jobs` lists it.",
        examples=[Example(value="clock.spot")],
        schema_extra={"pattern": f"^{JOB_NAME}$"},
    ),
]


class JobController(Controller):
    """Read from memory; a standby's is at most a second old."""

    path = "/xchg/jobs"
    opt = {"scope": Scope.READ}  # noqa: RUF012 (Litestar's way; it copies it)
    tags = ("operation",)

    @get(
        "",
        operation_id="list_jobs",
        summary="Jobs: last run, result, next run",
        sync_to_thread=False,
    )
    def list_jobs(self, run_jobs: NamedDependency[RunJobs]) -> JobListView:
        """What this instance knows. A job of one instance is shown the same by all instances."""
        return JobListView(tuple(map(JobView.of, run_jobs.listed())))

    @post(
        "/{job_name:str}/run",
        opt={"scope": Scope.JOBS_RUN},
        operation_id="run_job",
        summary="Run a job now",
        response_description="Requested; the job as it was before the run",
        responses={
            400: problem_spec(REQUEST_INVALID),
            404: problem_spec(JOB_UNKNOWN),
            409: problem_spec(JOB_RUNNING, JOB_ELSEWHERE),
            503: problem_spec(STORE_UNAVAILABLE, ACCESS_DISABLED),
        },
        status_code=202,
    )
    async def run_job(self, job_name: _JobName, run_jobs: NamedDependency[RunJobs]) -> JobView:
        """The instance that runs the job begins within a second; `/xchg/jobs` shows the result. A
        job of each instance runs on the instance that is asked. Runs of a job never overlap.
        """
        return JobView.of(await run_jobs.request(job_name))


def jobs_part(run_jobs: RunJobs) -> WebPart:
    return WebPart(
        routes=(JobController,),
        dependencies={"run_jobs": run_jobs},
        kind_by_error={
            UnknownJobError: JOB_UNKNOWN,
            JobRunningError: JOB_RUNNING,
            JobElsewhereError: JOB_ELSEWHERE,
        },
    )
