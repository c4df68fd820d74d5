# One image for servers and workers: docker build -t memorist .
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
RUN python -m venv /opt/memorist \
 && /opt/memorist/bin/pip install --no-cache-dir '.[serve,postgres,remote]'

FROM python:3.12-slim
COPY --from=build /opt/memorist /opt/memorist
RUN useradd --uid 10001 --no-create-home --home-dir /data memorist \
 && mkdir /data \
 && chown memorist:memorist /data
ENV PATH=/opt/memorist/bin:$PATH PYTHONUNBUFFERED=1 MEMORIST_STORE=/data/memory.db MEMORIST_CACHE=/tmp/memorist
USER 10001
VOLUME /data
EXPOSE 8321
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/health/ready', timeout=4)"]
ENTRYPOINT ["memorist"]
# Refused until the store has a key: memorist keys create --tenant NAME
CMD ["serve", "--host", "0.0.0.0", "--port", "8321"]
