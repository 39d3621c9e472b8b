"""Rule on parameters of tasks and of their jobs."""

from collections.abc import Iterator

from dabs_lab.bundle.yaml_nodes import Node
from dabs_lab.check.declaration import Finding, Outcome, rule
from dabs_lab.check.view import as_text
from dabs_lab.check.views import TargetView

_KEYED = (("notebook_task", "base_parameters"), ("python_wheel_task", "named_parameters"))


@rule(
    id="D814",
    name="parameter-without-effect",
    severity="warning",
    title="A parameter of a task has no effect, because its job has one of the same name",
    reason="The platform passes the job's parameters on to its tasks, where they take precedence.",
    source="https://docs.databricks.com/aws/en/jobs/job-parameters",
    fix="Remove one of them, or give them different names.",
)
def parameter_without_effect(target: TargetView) -> Iterator[Outcome]:
    """Yield each parameter of a task that differs from the job's parameter of the same name."""
    for task in target.tasks:
        of_job = task.job.parameters
        for fields in _KEYED:
            for name, node in (task.get(*fields) or Node({})).children.items():
                same = of_job[name][0] if name in of_job else as_text(node)
                # An empty value only documents that the code reads the parameter.
                if as_text(node) not in ("", same, f"{{{{job.parameters.{name}}}}}"):
                    message = (
                        f"task {task.key}: parameter {name} has no effect: that of job {task.job.key} takes precedence"
                    )
                    yield Finding(task.at(*fields, name), message)
