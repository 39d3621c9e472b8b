"""Options of JVMs with small batches: tests, and cells of the lab."""

from sensor_streams.incremental.interpreted import INTERPRETED

# The optimising compiler costs more time than it saves in a short run, and parallel garbage collection takes cores from
# other processes. Without that compiler the code cache is 48 MB: when it is full, the JVM recompiles methods all the
# time.
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m"
# In addition, for processes with few rows: Spark takes these settings from the JVM and interprets its queries.
FEW_ROWS = " ".join([QUICK, *(f"-D{name}={value}" for name, value in INTERPRETED.items())])
