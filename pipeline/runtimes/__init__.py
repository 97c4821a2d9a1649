"""Runtimes: what drives the stages. They read records, call `run(batch)`, write what it came to, and hold no business rules."""
