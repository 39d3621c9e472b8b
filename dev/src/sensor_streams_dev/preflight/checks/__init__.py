"""Checks that need answers of a workspace."""
