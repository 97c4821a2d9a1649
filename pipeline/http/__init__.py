"""HTTP for whatever serves it: granian's server, requests and answers, bodies with their limits. No business.

`server.py` runs an application on an event loop, `exchange.py` has the request, `answers.py` the answer and the refusals.
`bodies.py` receives a body within bounds of memory and time, `decoding.py` unpacks it, `probes.py` serves /health and its like.
"""
