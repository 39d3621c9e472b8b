"""The half of preflight that runs on a developer machine: it queries a workspace and prints reports."""
