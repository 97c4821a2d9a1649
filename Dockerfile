# syntax=docker/dockerfile:1
# The image of all services but serve: locked packages, our code, no compiler, no root. It speaks to a ClickHouse server; chdb, the
# engine that serve carries in its process, is some 900 MB and not in it.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements-image.lock requirements-dev.lock ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes --requirement requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY pipeline pipeline
# pipeline/shipped_rules is a link to it: the wheel carries the rules.
COPY rules rules
# What builds our wheel is locked too: the lock of the development environment names it for every platform.
RUN sed -n '/^setuptools==/,/[^\\]$/p' requirements-dev.lock >build.lock \
    && pip install --no-cache-dir --no-deps --require-hashes --requirement build.lock \
    && pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /venv/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home --home-dir /home/pipeline pipeline && install --directory --owner 10001 /spool
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /venv /venv
COPY rules /etc/pipeline/rules
ENV PIPELINE_RULES=/etc/pipeline/rules
USER 10001
WORKDIR /home/pipeline
EXPOSE 3000 3001 6066 6067 6068 6069
STOPSIGNAL SIGTERM
ENTRYPOINT ["pipeline"]
CMD ["worker"]
