"""Latency by the sum of a network's parts, each measured once.

A part is a block with the shape that it reads, or the average and classifier behind the last
block. Parts are run in turns, one after another and round by round, as a network runs its blocks:
so none finds the caches filled by its own last run alone, and what else the machine does in a
moment is spread over all.
"""

from senet_nas.latency.measuring import Conditions, Timing, conditions_here, measured
from senet_nas.latency.of_space import parts_of_space
from senet_nas.latency.parts import Part, block_part, classifier_part, parts_of
from senet_nas.latency.table import LatencyTable, drawn, expected_seconds, open_or_new
from senet_nas.latency.whole import measure_latencies, measure_latency

__all__ = [
    "Conditions",
    "LatencyTable",
    "Part",
    "Timing",
    "block_part",
    "classifier_part",
    "conditions_here",
    "drawn",
    "expected_seconds",
    "measure_latencies",
    "measure_latency",
    "measured",
    "open_or_new",
    "parts_of",
    "parts_of_space",
]
