"""Protections that the lab takes away from the processes of a job, to show that it reports what is then lost."""
