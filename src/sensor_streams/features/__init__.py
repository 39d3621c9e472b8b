"""Features: pure functions from rows to rows. This is where your own features go."""
