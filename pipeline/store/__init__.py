"""The store: storage messages and outcomes as rows of ClickHouse, exactly once, and the queries that read them."""
