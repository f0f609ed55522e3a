"""Tables by version; shipped with the package and run when a database is opened."""
