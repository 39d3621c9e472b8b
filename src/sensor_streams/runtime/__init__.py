"""Runtime of a task: starts its streams, watches them, stops them with an error when one fails."""
