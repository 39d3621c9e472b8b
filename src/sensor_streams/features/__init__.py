"""Features as pure functions from rows to rows. Put your own features here."""
