"""Who launched a run: a tag of the run, and a row of the audit log.

What belongs here: Dagster's request context with a person in it, and the run coordinator that marks
what it submits. What does not: who the person is (`door`), what the tag is good for
(`reconciliation`).

The tag is set where a run is submitted, over whatever the launchpad or a re-execution put there.
"""

from typing import Any

import psycopg
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext

from repayment_platform.warehouse.audit import record
from repayment_platform.web.operations.users import Role, User

LAUNCHED_BY = "launched_by"
VISITOR = "repayment.visitor"
"""Under this name the door puts the user into the scope of a request."""


class PersonsContext(WorkspaceRequestContext):
    """A request of a user who is logged in; a viewer's is read-only to Dagster as well."""

    def __init__(self, user: User, conninfo: str, **about: Any) -> None:
        super().__init__(**about, read_only=user.role < Role.OPERATOR)
        self.user = user
        self.conninfo = conninfo

    def get_viewer_tags(self) -> dict[str, str]:
        """What Dagster gives to backfills, and they to their runs."""
        return {LAUNCHED_BY: self.user.name}

    def get_reporting_user_tags(self) -> dict[str, str]:
        return self.get_viewer_tags()


class PersonsWorkspace(WorkspaceProcessContext):
    """Dagster's workspace, as the door's requests see it."""

    conninfo = ""

    def create_request_context(self, source: Any = None) -> WorkspaceRequestContext:
        """A request of the door's visitor; of anybody else, Dagster itself say, read-only."""
        user = source.scope.get(VISITOR) if source is not None else None
        if user is None:
            return super().create_request_context(source)
        return PersonsContext(
            user,
            self.conninfo,
            instance=self.instance,
            current_workspace=self.get_current_workspace(),
            process_context=self,
            version=self.version,
            source=source,
        )


class PersonsRunCoordinator(QueuedRunCoordinator):
    """Dagster's queue; what a person submits bears the person's name."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Raises psycopg.Error, and submits nothing, when the audit log cannot be written."""
        workspace, run = context.workspace, context.dagster_run
        if isinstance(workspace, PersonsContext):
            who = workspace.user.name
            self._instance.add_run_tags(run.run_id, {LAUNCHED_BY: who})
            with psycopg.connect(workspace.conninfo) as connection:
                record(connection, who, "run.launch", f"run {run.run_id}", job=run.job_name)
        return super().submit_run(context)
