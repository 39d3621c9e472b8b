"""Machinery: starts a task's streams, watches them, stops them loudly."""
