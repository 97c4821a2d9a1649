"""The Kafka edge: what the broker does for us. Topics and groups are arguments; no business is decided here."""
