"""Read Databricks bundles and run their jobs on this machine; knows nothing of any project."""
