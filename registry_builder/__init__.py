"""The builder of Sealdex: compiles a source tree into a signed, immutable registry and publishes it."""
