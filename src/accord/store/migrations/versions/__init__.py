"""One module a version, in order; a published one never changes."""
