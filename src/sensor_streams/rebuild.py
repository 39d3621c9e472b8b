"""Compute a range of a stream's table afresh: the same code as the stream, for a function that changed."""

from datetime import datetime

from sensor_streams.errors import ConfigurationError
from sensor_streams.fleet import Fleet
from sensor_streams.inference.registry import LoadedModel
from sensor_streams.keyed.engine import Handles, write_region
from sensor_streams.keyed.signature import of_rebuild
from sensor_streams.keyed.write import Writes
from sensor_streams.streams import BY_NAME, Stream
from sensor_streams.tables import Catalog
from sensor_streams.verify import is_computed, region_of


def computed_stream(name: str) -> Stream:
    """The stream of that name. Raises ConfigurationError when there is none, or it is not computed from tables."""
    stream = BY_NAME.get(name)
    if stream is None or not is_computed(stream):
        why = "no stream is called so" if stream is None else "it only adds to its table"
        computed = ", ".join(s.name for s in BY_NAME.values() if is_computed(s))
        raise ConfigurationError(f"{name} cannot be rebuilt: {why}; what can be: {computed}")
    return stream


def rebuild(
    catalog: Catalog,
    fleet: Fleet,
    name: str,
    low: datetime | None = None,
    high: datetime | None = None,
    model: LoadedModel | None = None,
) -> Writes:
    """Recompute the table of stream `name` between two times (UTC; None = no limit), write only what differs.

    The caller holds the stream's lease: a table has one writer at a time. Through the table's change feed the streams
    behind it follow in their next batches. Raises ConfigurationError for a stream that is not computed from tables,
    TableError when a table is missing: the stream makes its own, and nobody else does.
    """
    stream = computed_stream(name)
    region = region_of(stream, fleet, low, high)
    catalog.open(stream.table(fleet))
    for source in stream.sources:
        catalog.identify(source)
    handles = Handles.open(catalog, [name, *stream.sources])
    with of_rebuild(name).on(catalog.spark):
        return write_region(stream, fleet, handles, region, model)
