# Two stages: the first has what builds, the second has what runs.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements-build.txt requirements.txt ./
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.txt \
    && python -m venv --without-pip /opt/chimera \
    && /opt/build/bin/uv pip install --python /opt/chimera/bin/python --no-cache --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/build/bin/python -m hatchling build -t wheel \
    && /opt/build/bin/uv pip install --python /opt/chimera/bin/python --no-cache --no-deps dist/*.whl

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin chimera \
    && install --directory --owner=chimera --mode=0750 /var/lib/chimera
COPY --from=build /opt/chimera /opt/chimera
# S1_REDIS_ADDRESSES has to be given: the image has no Redis of its own. So has S1_API_TOKENS_FILE, a
# file of user 10001 or root that 10001 may read and no other user may change: what listens for other
# machines does not start without tokens.
ENV PATH=/opt/chimera/bin:$PATH \
    S1_HTTP_HOST=0.0.0.0 \
    S1_LOG_FORMAT=json \
    S1_STATE_DIR=/var/lib/chimera
USER 10001
WORKDIR /var/lib/chimera
# The ledger of all transfers: without it, finished ones would be sent again. Name the volume.
VOLUME /var/lib/chimera
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as ask; ask.urlopen(f\"http://127.0.0.1:{os.environ.get('S1_HTTP_PORT', '8080')}/health\", timeout=2)"]
ENTRYPOINT ["chimera-s1"]
CMD ["serve"]
