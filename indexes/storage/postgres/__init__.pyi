from .address import DatabaseAddress, is_database, kept_beside, shown
from .index import PostgresIndex

__all__ = [
    "DatabaseAddress",
    "PostgresIndex",
    "is_database",
    "kept_beside",
    "shown",
]
