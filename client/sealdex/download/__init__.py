"""From a signed entry to a verified file in the cache: where it lies, whole or by the parts that differ."""
