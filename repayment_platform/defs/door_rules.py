"""What each role may do in Dagster: its routes, and the operations of its GraphQL.

What belongs here: the registry, and reading from a GraphQL document what it would do. What does
not: keeping to it (`door`), the table of the docs (`door_table`).

What is not named here nobody may do, so that an upgrade of Dagster opens nothing by itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repayment_platform.web.operations.users import Role

if TYPE_CHECKING:
    from graphql import DocumentNode, SelectionSetNode

LONGEST_DOCUMENT = 20_000
"""Tokens; Dagster's own have a few thousand."""

LAUNCH, KEEP = Role.OPERATOR, Role.ADMIN
MUTATIONS: Mapping[str, Role | None] = {
    # Runs: what an operator is there for.
    "launchPipelineExecution": LAUNCH,
    "launchRun": LAUNCH,
    "launchMultipleRuns": LAUNCH,
    "launchPipelineReexecution": LAUNCH,
    "launchRunReexecution": LAUNCH,
    "launchPartitionBackfill": LAUNCH,
    "resumePartitionBackfill": LAUNCH,
    "reexecutePartitionBackfill": LAUNCH,
    "cancelPartitionBackfill": LAUNCH,
    "terminatePipelineExecution": LAUNCH,
    "terminateRun": LAUNCH,
    "terminateRuns": LAUNCH,
    "reloadRepositoryLocation": LAUNCH,
    "reloadWorkspace": LAUNCH,
    # Whether and when the platform works by itself.
    "startSchedule": KEEP,
    "stopRunningSchedule": KEEP,
    "resetSchedule": KEEP,
    "scheduleDryRun": KEEP,
    "startSensor": KEEP,
    "stopSensor": KEEP,
    "resetSensor": KEEP,
    "setSensorCursor": KEEP,
    "sensorDryRun": KEEP,
    "setAutoMaterializePaused": KEEP,
    "setConcurrencyLimit": KEEP,
    "deleteConcurrencyLimit": KEEP,
    "freeConcurrencySlots": KEEP,
    "freeConcurrencySlotsForRun": KEEP,
    # What would make records say what did not happen, or what this platform has no use for.
    "deletePipelineRun": None,
    "deleteRun": None,
    "wipeAssets": None,
    "reportRunlessAssetEvents": None,
    "reportAssetCheckEvaluations": None,
    "shutdownRepositoryLocation": None,
    "addDynamicPartition": None,
    "deleteDynamicPartitions": None,
    "setAppManagedComponent": None,
    "deleteAppManagedComponent": None,
    "refreshComponentState": None,
    "logTelemetry": None,
    "setNuxSeen": None,
}
"""The least role for each; None: nobody."""


@dataclass(frozen=True)
class Rule:
    """The least role for a route, by method; None: nobody."""

    path: str
    """Of a path that begins so, where it ends in `/…`."""
    methods: Mapping[str, Role | None]
    what: str

    def covers(self, path: str) -> bool:
        if self.path.endswith("…"):
            return path.startswith(self.path[:-1])
        return path == self.path


LOOK = {"GET": Role.VIEWER}
ROUTES = (
    Rule("/graphql", {"GET": None, "POST": Role.VIEWER, "WEBSOCKET": Role.VIEWER},
         "GraphQL: queries and subscriptions; mutations as below."),
    Rule("/server_info", LOOK, "Versions."),
    Rule("/dagit_info", LOOK, "Versions."),
    Rule("/logs/…", LOOK, "What a run has printed."),
    Rule("/download_debug/…", LOOK, "A run's events, for its authors."),
    Rule("/notebook", {"GET": None}, "Notebooks, which there are none of."),
    Rule("/dagit/notebook", {"GET": None}, "Notebooks, which there are none of."),
    Rule("/report_asset_materialization/…", {"POST": None}, "Events without a run."),
    Rule("/report_asset_check/…", {"POST": None}, "Events without a run."),
    Rule("/report_asset_observation/…", {"POST": None}, "Events without a run."),
    Rule("/…", LOOK, "Dagster's pages, styles and scripts."),
)  # fmt: skip


def role_for(method: str, path: str) -> Role | None:
    """The least role for a request; None where nobody may."""
    # Dagster's routes match a line's end too, which no rule here would.
    if ".." in path.split("/") or not path.isprintable():
        return None
    rule = next(rule for rule in ROUTES if rule.covers(path))
    return rule.methods.get("GET" if method == "HEAD" else method)


class Unreadable(ValueError):
    """The document is no GraphQL that we can judge; the message says why."""


@dataclass(frozen=True)
class Asked:
    """What a GraphQL document would do, whichever of its operations is chosen."""

    kinds: frozenset[str]
    """Of its operations: query, mutation, subscription."""
    mutations: tuple[str, ...]
    """Fields of its mutations, in order, through all fragments."""

    @property
    def least_role(self) -> Role | None:
        """The role that may do all of it; None where nobody may do some of it."""
        roles = [MUTATIONS.get(name) for name in self.mutations]
        known = [role for role in roles if role is not None]
        if len(known) < len(roles) or ("mutation" in self.kinds and not roles):
            return None
        return max(known, default=Role.VIEWER)


def asked(document: str) -> Asked:
    """Read a document.

    Raises:
        Unreadable: it is none.
    """
    from graphql import GraphQLError, OperationDefinitionNode, parse

    try:
        parsed = parse(document, no_location=True, max_tokens=LONGEST_DOCUMENT)
    except (GraphQLError, RecursionError) as error:
        raise Unreadable(str(error).splitlines()[0]) from None
    operations = [node for node in parsed.definitions if isinstance(node, OperationDefinitionNode)]
    if not operations:
        raise Unreadable("it has no operation")
    names = tuple(
        name
        for operation in operations
        if operation.operation.value == "mutation"
        for name in _fields(operation.selection_set, parsed, set())
    )
    return Asked(frozenset(each.operation.value for each in operations), names)


def _fields(
    selected: "SelectionSetNode", document: "DocumentNode", seen: set[str]
) -> Iterator[str]:
    """Names of the fields, not their aliases; through fragments, each once."""
    from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode

    for node in selected.selections:
        if isinstance(node, FieldNode) and node.name.value != "__typename":
            yield node.name.value
        elif isinstance(node, InlineFragmentNode):
            yield from _fields(node.selection_set, document, seen)
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
            seen.add(node.name.value)
            for other in document.definitions:
                if isinstance(other, FragmentDefinitionNode) and other.name == node.name:
                    yield from _fields(other.selection_set, document, seen)


SUBJECTS = ("jobName", "pipelineName", "runId", "parentRunId", "runIds", "backfillId",
            "scheduleName", "sensorName", "concurrencyKey", "repositoryLocationName")  # fmt: skip


def subject_of(variables: Any) -> str | None:
    """What a mutation is about, for the audit log: the first job, run or schedule it names."""
    waiting = [variables]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, dict):
            for name in SUBJECTS:
                if isinstance(value.get(name), str | list) and value[name]:
                    return f"{name} {value[name]}"[:200]
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return None
