"""The most frequent reasons of a batch's rejected lines, each with its setting and one example."""

from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

# Minimum share of rejected lines for a report. The table `readings_rejected` has all reasons.
REPORTED_SHARE = 0.1
_MOST, _EXAMPLE = 3, 200
# Setting of sensors.yml that decides; other reasons depend on the line alone.
_SETTINGS = {
    "too_old": "accept.oldest",
    "in_future": "accept.ahead",
    "quality_refused": "accept.quality",
    "line_too_long": "accept.longest_line",
    "unknown_device": "device_types.<type>.devices",
    "unknown_sensor": "device_types.<type>.sensors",
    "unit_mismatch": "sensors.<sensor>.unit",
    "out_of_range": "sensors.<sensor>.range",
}
_ADVICE = {"too_old": "; to load old files once, see --load-history in docs/own-fleet.md"}


@dataclass(frozen=True)
class Rejection:
    """A reason, its number of lines, the setting that decides (None: the line alone), and an example."""

    reason: str
    lines: int
    setting: str | None
    example: str

    def __str__(self) -> str:
        """Return one sentence for a log or a screen."""
        noun = "line" if self.lines == 1 else "lines"
        setting = f" (sensors.yml: {self.setting}{_ADVICE.get(self.reason, '')})" if self.setting else ""
        return f"{self.lines:,} {noun} rejected as {self.reason}{setting}, such as {self.example}"


def most_frequent(decided: DataFrame, rejected: int, lines: int) -> tuple[Rejection, ...]:
    """Return the most frequent reasons of a batch; none when less than a tenth of its lines was rejected.

    decided: raw, decision, reason of each line. It is scanned once more, only for such a batch.
    """
    if not rejected or rejected < lines * REPORTED_SHARE:
        return ()
    # One more character than is shown: if it exists, `_printable` adds an ellipsis.
    start = F.substring(F.make_valid_utf8("raw"), 1, _EXAMPLE + 1)
    rows = (
        decided.where(F.col("decision") == "rejected")
        .groupBy("reason")
        .agg(F.count(F.lit(1)).alias("lines"), F.min(start).alias("raw"))
        .orderBy(F.desc("lines"), "reason")
        .limit(_MOST)
        .collect()
    )
    return tuple(
        Rejection(row["reason"], int(row["lines"]), _SETTINGS.get(row["reason"]), _printable(row["raw"] or ""))
        for row in rows
    )


def merge_rejections(parts: Iterable[Rejection]) -> list[Rejection]:
    """Return the reasons of several batches as one list, the most frequent first."""
    found: dict[str, Rejection] = {}
    for one in parts:
        before = found.get(one.reason)
        lines = one.lines + (0 if before is None else before.lines)
        example = one.example if before is None else before.example
        found[one.reason] = Rejection(one.reason, lines, one.setting, example)
    return sorted(found.values(), key=lambda one: (-one.lines, one.reason))[:_MOST]


def _printable(text: str) -> str:
    """Return a line cut to the length of an example, with control characters of a terminal escaped."""
    escaped = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text[:_EXAMPLE])
    return f"{escaped} …" if len(text) > _EXAMPLE else escaped
