"""The whole calculation of one run, forward and backward, told step by step with its numbers.

explanation.py has what is told, examples/ where it comes from; terminal.py, page/, workbook/, document/ and
numbers.py are the ways of telling it, and know nothing of any cell.
"""
