"""Policies on the job files of this project: settings that each job must have before a deploy."""
