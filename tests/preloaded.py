"""What commands import, for processes that are forked (`tests.forked`): all of Accord, which has no
effect when it is imported (`tests/rules/test_imports.py`), and what functions of it load."""

from __future__ import annotations

import gc
import importlib
import pkgutil
from contextlib import suppress

import accord

LATER = (
    "_strptime",
    "alembic.config",
    "alembic.runtime.environment",
    "alembic.script",
    "pandas",
    "pyarrow.parquet",
    "rich._emoji_codes",
    "scipy.stats",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "typeguard",
)
"""Also what those load that are named: pyarrow looks for pandas, tyro for typeguard."""

_own = (found.name for found in pkgutil.walk_packages(accord.__path__, "accord."))
for _name in ("tests.forked", *LATER, *_own):
    with suppress(ImportError):  # what is not installed is not needed by the tests that run
        importlib.import_module(_name)
gc.freeze()  # a child that collects would copy all of it
