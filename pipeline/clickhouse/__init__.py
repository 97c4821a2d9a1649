"""The edge to ClickHouse: a server over HTTP, or chdb, the same engine inside the process."""
