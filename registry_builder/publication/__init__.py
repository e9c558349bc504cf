"""From a source tree to a published state: decide everything as a plan, then carry it out with one commit point."""
