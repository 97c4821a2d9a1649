"""Source maps: from the frames of a minified build to those of the original files (docs/spec/source-maps.md).

An event passes through the files in this order:

- `frame_selection.py` decides which frames are looked up, and finds the built file of each.
- `artifacts.py` finds the modules that a batch needs, using `module_loading.py`, and caches them. A `Module` (`module.py`) is a
  built file with its map.
- `resolve.py` writes the original frames into the event, and `event_errors.py` says why others stay minified.

Below them are the bundles (`stores/`, `bundle.py`, `project_index.py`, `files.py`), the libraries that read maps (`engines/`,
`parsed_maps.py`), and pure functions (`urls.py`, `map_references.py`, `comment_search.py`, `source_text.py`,
`function_names.py`). `packing.py` makes bundles. `diagnosis.py` and `advice.py` explain why a frame was not resolved.
`pipeline sourcemaps` uses them.
"""
