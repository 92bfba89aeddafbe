"""Names a mistake by replay: equations are edited until one gives the number that was seen."""

from unrolled.checking.replay.naming import name_cause
from unrolled.checking.replay.shapes import name_shape_error
from unrolled.checking.replay.values import Witness

__all__ = ["Witness", "name_cause", "name_shape_error"]
