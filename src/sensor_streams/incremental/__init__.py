"""Tables as functions of their sources: what a batch touches is read back, computed afresh, compared and merged."""
