"""The front door: what SDKs send is accepted, made durable and only then answered; the shipper brings it to Kafka.

Read `accepting.py` for what is decided about a request, and in which order; `server.py` for the way of a body to the spool;
`shipping.py` for what a spooled record becomes. The other files are the pure functions that those stand on.
A 200 means that the request is on disk, synced. docs/gateway.md is the page for its users.
"""
