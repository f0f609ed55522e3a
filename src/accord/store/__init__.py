"""What is kept: data sets on disk, and the database of judgements with its append-only log.

datasets, manifest, columns, splits, writing   data artifacts: Parquet shards with a manifest
database, schema, turns, refusals, tables      a database, its tables, and how it says no
event, log, judgements, registry, erasing      what happened, and the rows that follow from it
merkle, keys, checkpoints                      proofs and signatures
records, exporting, verifying                  the log outside of the database, verified offline
"""
