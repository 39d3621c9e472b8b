"""The checks: each a function of what was found out, without a question of its own to anyone."""
