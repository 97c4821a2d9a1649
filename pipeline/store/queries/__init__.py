"""Typed queries over what is stored: what to count, over which time, filtered and grouped by what.

`search.py` turns what users type into filters. `question.py` and `filters.py` are what can be asked, `queries.py` asks it,
`answers.py` is what comes back. SQL is written in the files `sql*.py` alone; what users typed is bound as parameters.
"""
