"""What is published already, verified before anything is built on it, and how the source tree differs from it."""
