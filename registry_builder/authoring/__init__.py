"""What authors do: new registries and plugins, packing, releases, and the events that come after them."""
