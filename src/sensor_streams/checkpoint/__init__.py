"""Files next to the checkpoint of a stream: lease, binding to tables, settings, and the offsets that Spark writes."""
