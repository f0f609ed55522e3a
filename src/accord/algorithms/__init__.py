"""Training loops: generators of metric rows, their parts passed in. Importing loads no torch."""
