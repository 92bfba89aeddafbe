"""Names a mistake by mending: a person's own syntax is edited until every number comes out right."""

from unrolled.checking.mending.search import Mended, mended, of_structure, with_loop_turned

__all__ = ["Mended", "mended", "of_structure", "with_loop_turned"]
