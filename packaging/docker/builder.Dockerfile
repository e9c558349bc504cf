# The builder with the client of its version: slim, without pip, not root. As client.Dockerfile; see README.md.
ARG BASE
FROM ${BASE} AS build
COPY pins/builder.txt dist/sealdex-*.whl dist/sealdex_builder-*.whl /in/
RUN python -m venv /opt/sealdex \
    && /opt/sealdex/bin/python -m pip install --no-cache-dir --disable-pip-version-check --only-binary :all: \
        --require-hashes -r /in/builder.txt \
    && /opt/sealdex/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-index --no-deps /in/*.whl \
    && /opt/sealdex/bin/python -m pip uninstall --yes --quiet pip

FROM ${BASE}
RUN useradd --system --uid 10001 --user-group --home-dir /home/builder --create-home --shell /usr/sbin/nologin builder
COPY --from=build /opt/sealdex /opt/sealdex
ENV PATH=/opt/sealdex/bin:$PATH
USER 10001:10001
WORKDIR /registry
ENTRYPOINT ["sealdex-builder"]
