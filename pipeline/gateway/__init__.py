"""The gateway: accepts what SDKs send, makes it durable, answers, and brings it to Kafka.

- `accepting.py` decides whether a request is accepted, and in which order this is checked.
- `server.py` takes a request from the socket to the spool, and sends the answer.
- `shipping.py` decides what a record of the spool becomes; `shipper.py` brings that to Kafka.

The other files hold the functions that these use. A 200 means that the request is on disk, synced. See docs/gateway.md.
"""
