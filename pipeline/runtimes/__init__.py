"""Runtimes: what drives the stages. They read records, call `run` for each batch and write its results. They hold no rules."""
