"""Shapes of the lab: the three deployable jobs, and four forms for comparison, which nobody should deploy."""

from dabs_lab.lab.declarations import Shape
from dabs_lab.lab.results import ShapeText

DEPLOYABLE = (
    Shape(
        ShapeText(
            id="single_task",
            title="single task",
            about="Eight streams in one process of a continuous job; a supervisor watches them.",
        ),
        ("single_task",),
    ),
    Shape(
        ShapeText(
            id="shared_cluster",
            title="shared cluster",
            about="Features, then inference, each until its input is drained, on one cluster, by a schedule.",
        ),
        ("shared_cluster",),
        bounded=True,
    ),
    Shape(
        ShapeText(
            id="cluster_per_task",
            title="cluster per task",
            about="Endless features and inference, each on a cluster of its own, with retries without limit.",
        ),
        ("cluster_per_task",),
    ),
)
FOR_COMPARISON = (
    Shape(
        ShapeText(
            id="awaits_in_order",
            title="awaits its queries in order",
            about="One task starts eight queries and awaits the first, then the second, and so on. No supervisor.",
            deployable=False,
        ),
        ("lab_awaits_in_order",),
    ),
    Shape(
        ShapeText(
            id="endless_never",
            title="two endless tasks, NEVER",
            about="Two endless tasks on a shared cluster in a continuous job with the API's default, NEVER.",
            deployable=False,
        ),
        ("lab_endless_never",),
    ),
    Shape(
        ShapeText(
            id="endless_on_failure",
            title="two endless tasks, ON_FAILURE",
            about="Two endless tasks on a shared cluster in a continuous job, task_retry_mode ON_FAILURE.",
            deployable=False,
        ),
        ("lab_endless_on_failure",),
    ),
    Shape(
        ShapeText(
            id="two_jobs",
            title="two jobs",
            about="Features and inference as two continuous jobs with one task and one cluster each.",
            deployable=False,
        ),
        ("lab_features", "lab_inference"),
    ),
)
SHAPES = (*DEPLOYABLE, *FOR_COMPARISON)
