"""Cells that other people write and the library does not: right, if everything agrees on them."""
