"""Find problems before the first batch does. Preflight only reads."""
