"""The part of preflight that runs on a developer machine: the command, and queries to a workspace."""
