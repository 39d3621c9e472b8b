"""Rules on streaming jobs that `databricks bundle validate` does not check. Start with `engine.check_folder`."""
