"""What tests of collection share: the databases of the store's tests."""

from tests.store.conftest import database, file_database, place, postgres, postgres_url

__all__ = ["database", "file_database", "place", "postgres", "postgres_url"]
