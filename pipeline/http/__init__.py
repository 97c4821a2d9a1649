"""The HTTP edge: granian's server, requests and answers, bodies with their limits. It knows no business.

`server.py` runs an application on an event loop, `exchange.py` holds the request, `answers.py` the answer and the refusals.
`bodies.py` receives a body within limits of memory and time, `decoding.py` decompresses it, `probes.py` serves /health and
/ready.
"""
