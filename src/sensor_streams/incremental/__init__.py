"""Tables as functions of their sources: a batch recomputes the rows that it touches and merges what differs."""
