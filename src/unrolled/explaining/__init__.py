"""The whole calculation of one run, forward and backward, told step by step with its numbers.

explanation.py has what is told; examples.py where it comes from; terminal.py, page.py, workbook.py and
document.py are the ways of telling it, and know nothing of any cell.
"""
