"""Ingestion: files of lines to readings, each line accepted, rejected with its reason, or a duplicate."""
