# docker build -t todo .
# docker run -p 8000:8000 -v todo:/data todo              PostgreSQL inside, its data in the volume
# docker run -p 8000:8000 -e DATABASE_URL=... -e JWT_SECRET=... todo
#
# The root file system may be read-only (--read-only): everything is written below /data. Allow 30 seconds for
# a stop (docker stop -t 30): ten of them for running requests, then PostgreSQL shuts down in order.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/todo
WORKDIR /src
# The dependencies first, with no source but the version: this layer is cached until they change.
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app/version.py app/
RUN /opt/todo/bin/pip install -c constraints.txt .
COPY alembic alembic
COPY app app
# The wheel contains the migrations and the web client. pip compiles it: the service has no right to write there.
RUN /opt/todo/bin/pip wheel --no-deps --wheel-dir /dist . \
    && /opt/todo/bin/pip install --no-deps --force-reinstall /dist/*.whl

FROM ${PYTHON_IMAGE}
# A fixed user id, for chown 10001:10001 of a mounted folder. The user needs a name: initdb looks it up.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin todo \
    && install -d -m 0700 -o todo -g todo /data
COPY --from=build /opt/todo /opt/todo
# TMPDIR: for lock and scratch files of the embedded PostgreSQL, since nothing but /data is writable.
ENV PATH=/opt/todo/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOST=0.0.0.0 DATA_DIR=/data TMPDIR=/data
WORKDIR /srv/todo
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Not urllib.request: it would go through a proxy that the environment names.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 8000), timeout=3); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
CMD ["todo", "serve"]
