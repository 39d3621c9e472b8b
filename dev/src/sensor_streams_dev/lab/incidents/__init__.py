"""All incidents, in the order of the report."""

from sensor_streams_dev.lab.incidents import processes, queries, state, surroundings, tables

INCIDENTS = (
    *queries.INCIDENTS,
    *tables.INCIDENTS,
    *processes.INCIDENTS,
    *state.INCIDENTS,
    *surroundings.INCIDENTS,
)
