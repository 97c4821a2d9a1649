"""What sentry-cli and the bundler plugins ask a server: uploads of source maps, releases and deploys, under `/api/0/`.

Read `api.py` for the endpoints. No HTTP server is named here, so each service that clients reach can offer them. Chunks,
releases and deploys lie in the artifact store, beside the bundles that workers read: any replica can assemble an upload.
"""
