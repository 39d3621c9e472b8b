"""Break jobs for real: faults from outside, what the job reports, and what is true."""
