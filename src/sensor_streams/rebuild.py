"""Compute a range of a stream's table afresh: the same code as the stream, for a changed function or a lost table."""

from datetime import datetime

from sensor_streams.errors import ConfigurationError
from sensor_streams.fleet import Fleet
from sensor_streams.inference.registry import LoadedModel
from sensor_streams.keyed.engine import Handles, write_region
from sensor_streams.keyed.write import Writes
from sensor_streams.streams import BY_NAME
from sensor_streams.tables import Catalog
from sensor_streams.verify import region_of


def rebuild(
    catalog: Catalog,
    fleet: Fleet,
    name: str,
    low: datetime | None = None,
    high: datetime | None = None,
    model: LoadedModel | None = None,
) -> Writes:
    """Recompute the table of stream `name` between two times (UTC; None = no limit), write only what differs.

    Through the table's change feed the streams behind it follow in their next batches. Raises ConfigurationError for
    a stream that is not computed from tables, TableError when a table is missing.
    """
    stream = BY_NAME.get(name)
    if stream is None:
        raise ConfigurationError(f"no stream is called {name}; there are: {', '.join(BY_NAME)}")
    region = region_of(stream, fleet, low, high)
    catalog.create(stream.table(fleet))
    for source in stream.sources:
        catalog.identify(source)
    handles = Handles.open(catalog, [name, *stream.sources])
    return write_region(stream, fleet, handles, region, model)
