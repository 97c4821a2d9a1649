"""The front door: what SDKs send is accepted, made durable and only then answered; the shipper brings it to Kafka.

- `accepting.py` is what is decided about a request, and in which order.
- `server.py` is the way of a request to the spool and of its answer.
- `shipping.py` is what a spooled record becomes, `shipper.py` its way to Kafka.

The other files are the functions that these stand on. A 200 means that the request is on disk, synced. See docs/gateway.md.
"""
