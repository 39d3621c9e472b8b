"""This machine in the place of a workspace: names, catalog entries, demo."""
