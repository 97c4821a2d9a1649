"""The endpoints of sentry-cli and the bundler plugins under `/api/0/`: uploads of source maps, releases and deploys.

`api.py` lists the endpoints. They do not depend on an HTTP server, so any service can offer them. Chunks, releases and deploys
are kept in the artifact store, beside the bundles that workers read, so any replica can assemble an upload.
"""
