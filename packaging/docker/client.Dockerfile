# The client: slim, without pip, not root. Build it in the checkout, after `make dist DIST=build`; see README.md.
# No default: name the base by digest, so that tomorrow's build is today's.
ARG BASE
FROM ${BASE} AS build
COPY pins/client.txt dist/sealdex-*.whl /in/
RUN python -m venv /opt/sealdex \
    && /opt/sealdex/bin/python -m pip install --no-cache-dir --disable-pip-version-check --only-binary :all: \
        --require-hashes -r /in/client.txt \
    && /opt/sealdex/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-index --no-deps /in/sealdex-*.whl \
    && /opt/sealdex/bin/python -m pip uninstall --yes --quiet pip

FROM ${BASE}
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/sealdex --create-home --shell /usr/sbin/nologin sealdex
COPY --from=build /opt/sealdex /opt/sealdex
ENV PATH=/opt/sealdex/bin:$PATH \
    SEALDEX_CONFIG=/etc/sealdex/config.toml \
    SEALDEX_STORE=/var/lib/sealdex/store
USER 10001:10001
WORKDIR /var/lib/sealdex
ENTRYPOINT ["sealdex"]
