"""From the source tree to what is published: index documents, manifests, catalogue, bundle. Pure, and deterministic."""
