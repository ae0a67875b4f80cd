"""Files in object storage, `s3://BUCKET/PREFIX`: what lies there, and its bytes. They come by fsspec and s3fs.

The endpoint, the region and the keys are those of AWS's own tools: `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_PROFILE` and so on, on every machine that reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from indexes.errors import CorpusError, EmptyFile, UnreadableFile, extra
from indexes.ingest.discovery import Found, FoundFile, IgnoredPath, SkippedFile, discover
from indexes.ingest.file_status import FileStat, FileStatus, written_at
from indexes.ingest.ignore_rules import IgnoreRules, UserRules, WalkRules
from indexes.readers import ReadLimits, check_size, check_suffix, format_suffix
from indexes.sources import STORAGE, full_source, is_stored
from indexes.text import on_one_line
from indexes.types import Failure

_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_OPTIONS: dict[str, Any] = {
    "use_listings_cache": False,
    "config_kwargs": {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 2}},
}
_REMEDIES = {
    "SSL": "the server speaks no TLS (http:// in AWS_ENDPOINT_URL), or its certificate is unknown (AWS_CA_BUNDLE)",
    "credentials": "give keys as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile as AWS_PROFILE",
    "connect": "see that the server of AWS_ENDPOINT_URL runs",
    "endpoint": "write AWS_ENDPOINT_URL as https://HOST:PORT",
}
_MOST_SAID = 200  # characters of what a server says


@dataclass(frozen=True, slots=True)
class StoredFile(FoundFile):
    """A file in object storage.

    Attributes:
        etag: The storage's mark of its content.
    """

    etag: str = field(default="", compare=False)

    def stamped(self, version: str) -> FileStatus:
        """The status to store of it; for the argument see `file_status`."""
        status = self.status
        stamp = f"{status.st_size}:{status.st_mtime_ns}:{self.etag.replace(':', '')}:s3:{version}"
        return FileStatus(stamp, written_at(status.st_mtime_ns))

    def read(self, limits: ReadLimits) -> bytes:
        """Fetch it; for the argument and what is raised see `read_stored`."""
        check_size(self.status.st_size, limits.max_bytes)
        if not self.status.st_size:
            raise EmptyFile("empty file")
        return read_stored(self.source, limits)


def find_files(roots: Iterable[Path], *, exclude: Path, rules: WalkRules) -> Iterator[Found]:
    """Find files in folders, as `discover` does, and then in object storage, sorted by their keys.

    In object storage, hidden files, what is left out by default, and what the user's rules say, are ignored; ignore
    files are not looked for.

    Args:
        roots: Files, folders, and addresses in object storage.
        exclude: A folder to ignore without a word: the index's own.
        rules: The user's rules.

    Yields:
        What `discover` yields; a Failure for an address at which nothing is, or that cannot be listed.
    """
    given = list(roots)
    yield from discover((root for root in given if not is_stored(full_source(root))), exclude=exclude, rules=rules)
    seen: set[str] = set()
    for address in dict.fromkeys(full_source(root) for root in given if is_stored(full_source(root))):
        try:
            files = _listed(address)
        except UnreadableFile as error:
            yield Failure(address, error.reason)
            continue
        if not files and "/" in address.removeprefix(STORAGE):
            yield Failure(address, "there is no such file or folder")
        for found in _sifted(address, files, rules):
            if not isinstance(found, StoredFile) or found.source not in seen:
                yield found
            if isinstance(found, StoredFile):
                seen.add(found.source)


def _sifted(root: str, files: Iterable[StoredFile], rules: WalkRules) -> Iterator[Found]:
    """What is to be read of the files at an address, and what is left out."""
    user, plain = UserRules(root, rules), IgnoreRules(root, None, (), root)

    def rule(path: str, *, is_folder: bool) -> str | None:
        said = user.reason(path, is_folder=is_folder)
        return (plain.reason(path, is_folder=is_folder) if said is None else said) or None

    folders: dict[str, str | None] = {}
    for file in files:
        if file.source == root:
            yield _named(file)
            continue
        parts = file.source.removeprefix(f"{root}/").split("/")
        above = [f"{root}/{'/'.join(parts[:depth])}" for depth in range(1, len(parts))]
        for folder in above:
            if folder not in folders:
                folders[folder] = rule(folder, is_folder=True)
                if said := folders[folder]:
                    yield IgnoredPath(Path(folder), said)
            if folders[folder]:
                break
        else:
            if said := rule(file.source, is_folder=False):
                yield IgnoredPath(file.path, said)
            elif format_suffix(file.path) is None:
                yield SkippedFile(file.path, file.path.suffix.lower() or "no suffix")
            else:
                yield file


def _named(file: StoredFile) -> StoredFile | Failure:
    try:
        check_suffix(file.path)
    except UnreadableFile as error:
        return Failure(file.source, error.reason)
    return file


def stored_sources(root: str) -> set[str]:
    """List what lies at an address.

    Args:
        root: The address.

    Returns:
        The sources; nothing if there is nothing, or it cannot be listed.
    """
    try:
        return {file.source for file in _listed(root)}
    except UnreadableFile:
        return set()


def is_stored_no_more(source: str) -> bool:
    """Whether there is no such file in object storage; one that cannot be looked at is not gone."""
    try:
        with _explained():
            _file_system().info(_path(source))
    except UnreadableFile as error:
        return isinstance(error.__cause__, FileNotFoundError)
    return False


def read_stored(source: str, limits: ReadLimits) -> bytes:
    """Fetch a file from object storage.

    Args:
        source: Its address.
        limits: The longest file.

    Returns:
        Its bytes.

    Raises:
        UnreadableFile: If it cannot be had, or is too large.
    """
    with _explained():
        data: bytes = _file_system().cat_file(_path(source), start=0, end=limits.max_bytes + 1)
    check_size(len(data), limits.max_bytes)
    return data


def _listed(root: str) -> list[StoredFile]:
    """The files at an address, by name. Raises UnreadableFile."""
    with _explained():
        entries = _file_system().find(_path(root), detail=True).items()
    files = (_found(name, entry) for name, entry in entries if entry["type"] == "file" and not name.endswith("/"))
    return sorted(files, key=lambda file: PurePosixPath(file.source).parts)


def _found(name: str, entry: dict[str, Any]) -> StoredFile:
    written = entry.get("LastModified") or entry.get("created")
    nanoseconds = round(written.timestamp() * 1_000) * 10**6 if isinstance(written, datetime) else 0
    status = FileStat(int(entry["size"] or 0), nanoseconds, 0, 0)
    return StoredFile(f"{STORAGE}{name.lstrip('/')}", status, etag=str(entry.get("ETag", "")).strip('"'))


def _path(address: str) -> str:
    bucket = address.removeprefix(STORAGE).partition("/")[0]
    if "@" in bucket:
        raise CorpusError(
            "the address holds keys: write s3://BUCKET/PREFIX, and give them as AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        )
    return address.removeprefix(STORAGE)


def _file_system() -> Any:
    try:
        import fsspec

        return fsspec.filesystem("s3", **_OPTIONS)
    except ImportError as error:
        raise CorpusError(f"{STORAGE} needs s3fs, which comes with {extra('s3')}") from error


@contextmanager
def _explained() -> Iterator[None]:
    """Raise UnreadableFile, in one line and without keys, for what s3fs and botocore raise."""
    try:
        yield
    except CorpusError:
        raise
    except FileNotFoundError as error:
        said = str(error.__cause__ or "")
        what = "there is no such bucket" if "NoSuchBucket" in said else "there is no such file"
        raise UnreadableFile(what) from error
    except PermissionError as error:
        raise UnreadableFile(f"the storage refuses it ({_masked(error)}): {_REMEDIES['credentials']}") from error
    except Exception as error:
        what = _masked(error)
        remedy = next((text for word, text in _REMEDIES.items() if word in what), "try again")
        raise UnreadableFile(f"cannot be fetched ({what}): {remedy}") from error


def _masked(error: Exception) -> str:
    text = on_one_line(str(error) or type(error).__name__)
    for name in _SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, "…")
    return text[:_MOST_SAID]
