"""`pipeline serve`: the gateway, the stages and the store behind one command, with nothing else to start.

The spool is the log, chdb the database. `source.py` reads the spool, `work.py` runs the stages, `sink.py` writes the result
of a batch: first into a file (`journal.py`), then into chdb.
"""
