"""Engines: libraries that read source maps, behind one contract, and the child process that parses unknown files first."""
