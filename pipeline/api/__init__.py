"""The read API under `/api/0/`, as functions from a request to an answer. No server and no SQL.

`routes.py` lists the endpoints, `door.py` lets requests in, the other files answer them.
"""
