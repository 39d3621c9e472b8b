"""Policies on the job files of this project, checked before a deploy: which settings each job must have."""
