"""Property-based tests draw the same examples everywhere, and are not timed."""

from hypothesis import settings

settings.register_profile("unrolled", deadline=None, derandomize=True)
settings.load_profile("unrolled")
