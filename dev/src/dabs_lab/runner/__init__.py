"""Run a job of a bundle with real processes: one driver JVM per cluster, one Python process per task."""
