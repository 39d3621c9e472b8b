"""All streams without a supervisor: start every query, then await one after the other. Only the lab runs this."""

import json
import os
import sys
import threading
from pathlib import Path

from pyspark.sql import SparkSession

from sensor_streams.checkpoint.lease import Lease, this_process
from sensor_streams.fleet import load_fleet
from sensor_streams.inference.champions import Champion
from sensor_streams.runtime.progress import ProgressTable, announce, json_lines_to
from sensor_streams.runtime.run_environment import RunEnvironment
from sensor_streams.runtime.worker import Worker
from sensor_streams.settings import parse_parameters, task_settings
from sensor_streams.stores import catalog_of, registry_of
from sensor_streams.streams import STREAMS


def main() -> None:
    """Start eight queries and await the first one, as the article's first job did."""
    settings = task_settings(parse_parameters(sys.argv[1:]), os.environ)
    spark = SparkSession.builder.getOrCreate()
    fleet, catalog, registry = load_fleet(settings.sensors), catalog_of(spark, settings), registry_of(settings)
    folders = [Path(settings.checkpoints) / stream.name for stream in STREAMS]
    lease = Lease(folders, this_process(settings.run, settings.attempt), settings.lease_timeout)
    progress = ProgressTable(catalog, "lab", 60, RunEnvironment.of(spark))
    with json_lines_to(sys.stdout):
        announce(stream.name for stream in STREAMS)
        lease.acquire()
        workers = []
        for stream in STREAMS:
            champion = stream.model and Champion(
                spark, registry, stream.model, 60, Path(settings.checkpoints) / stream.name, list
            )
            worker = Worker(
                stream=stream,
                settings=settings,
                fleet=fleet,
                catalog=catalog,
                lease=lease,
                progress=progress,
                champion=champion or None,
                closing=threading.Event(),
                on_batch=None,
            )
            worker.start()
            workers.append(worker)
        append_copy(spark, Path(settings.sensors).with_name("copy.json"))
        for worker in workers:
            assert worker.query is not None
            worker.query.awaitTermination()


def append_copy(spark: SparkSession, places: Path) -> None:
    """Append readings to a copy without any check of its location, if an incident of the lab wants that.

    places: JSON file with the folders `source`, `target` and `checkpoint`. `toTable` starts such a query too, with the
    location that the catalog has for the name.
    """
    if not places.exists():
        return
    place = json.loads(places.read_text("utf-8"))
    rows = spark.readStream.format("delta").load(place["source"])
    writer = rows.writeStream.queryName("copy_of_readings").format("delta").outputMode("append")
    writer.option("checkpointLocation", place["checkpoint"]).trigger(processingTime="1 second").start(place["target"])


if __name__ == "__main__":
    main()
