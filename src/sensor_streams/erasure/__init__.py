"""Erasure of one device's readings, on request: from the tables, and from the files that they came from."""
