"""Source maps: where built files and their maps are kept, and how a minified frame becomes the original one."""
