"""Libraries that read source maps, behind one contract, and the child process that tries unknown files first."""
