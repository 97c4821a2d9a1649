"""Where artifact bundles are kept: the contract of a store, a folder, and an object store."""
