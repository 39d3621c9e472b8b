"""Command line of an attempt: parameters of task and job, with references resolved."""

from collections.abc import Mapping

from dabs_lab.jobs.dynamic_values import OtherTask, RunContext, TaskContext, resolve
from dabs_lab.jobs.job_spec import JobSpec, WheelTask, pushed_down
from dabs_lab.jobs.run_records import Attempt, Result, TaskRun


def job_parameters(spec: JobSpec, given: Mapping[str, str], context: RunContext) -> dict[str, str]:
    """Return the job's parameters for one run; `given` overrides their defaults."""
    return {name: resolve(given.get(name, text), context, None) for name, text in spec.parameters.items()}


def arguments(task: TaskRun, attempt: Attempt, upstream: Mapping[str, TaskRun], context: RunContext) -> tuple[str, ...]:
    """Return the arguments of an attempt's process. Raises UnknownReferenceError for a missing value.

    Named parameters, with those of the job, become `--name=value` (SDK, PythonWheelTask).
    """
    others = {key: _other(one) for key, one in upstream.items()}
    own = TaskContext(task.spec.key, attempt.id, attempt.number, others)
    work = task.spec.work
    if isinstance(work, WheelTask) and work.named_parameters:
        named = {name: resolve(text, context, own) for name, text in work.named_parameters.items()}
        return tuple(f"--{name}={value}" for name, value in pushed_down(named, context.parameters).items())
    return tuple(resolve(text, context, own) for text in work.parameters)


def _other(task: TaskRun) -> OtherTask:
    result = task.result or Result.EXCLUDED
    run_id = task.attempts[-1].id if task.attempts else 0
    return OtherTask(run_id, result.value.lower(), len(task.attempts), task.values)
