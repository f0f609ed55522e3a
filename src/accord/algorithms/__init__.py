"""Training loops: generators of metric rows with their parts passed in. Importing loads no torch."""
