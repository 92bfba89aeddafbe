"""Names a mistake by replay: equations are edited until one gives the number that was seen."""

from unrolled.checking.replay.naming import name_cause
from unrolled.checking.replay.shapes import Operand, name_shape_error
from unrolled.checking.replay.values import Witness

__all__ = ["Operand", "Witness", "name_cause", "name_shape_error"]
