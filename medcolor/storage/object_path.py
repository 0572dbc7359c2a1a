"""Keys in buckets (S3, Google Cloud Storage, Azure) with the methods of a path that are used.

Endpoints and credentials come from the providers' usual environment variables. Failed requests
are repeated with growing pauses. Errors name the place and what is wrong with it, never what the
server said: its words may repeat a key. The client (obstore) is optional, and loads on use.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from medcolor.errors import InputError, RunError
from medcolor.storage.durable import Content
from medcolor.storage.names import plain_key

if TYPE_CHECKING:
    from obstore import ObjectMeta, UpdateVersion
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")
# Pauses are drawn between the first and `base` times the last, so with few tries allowed all of
# them may be spent within seconds: time alone ends them.
_RETRY = {
    "max_retries": 1000,
    "backoff": {
        "base": 3,
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=8),
    },
    "retry_timeout": timedelta(minutes=3),
}


def _mark(about: ObjectMeta) -> str:
    return str(about.get("e_tag") or about["last_modified"])


@dataclass(frozen=True)
class ObjectPath:
    """An object, or all objects below a key; a folder exists as long as something lies in it."""

    scheme: str
    """s3, gs or az."""

    bucket: str
    """Of Azure: the container; the account is AZURE_STORAGE_ACCOUNT_NAME."""

    key: str
    """Without slashes at its ends; empty for the bucket itself."""

    @classmethod
    def parse(cls, url: str) -> ObjectPath:
        """Read `s3://bucket/key`.

        Raises:
            InputError: No bucket, credentials in it, or a key that climbs out of its folder.
        """
        scheme, _, rest = url.partition("://")
        bucket, _, key = rest.partition("/")
        if "@" in bucket or ":" in bucket:
            raise InputError(
                f"{scheme}://..",
                "an address with credentials or a port in it",
                "Give bucket and key; credentials and endpoint come from the environment "
                "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL)",
            )
        if not bucket:
            raise InputError(url, "no bucket", f"Give {scheme}://BUCKET/KEY")
        key = key.strip("/")
        if key:
            plain_key(key, f"{scheme}://{bucket}", "Give another")
        return cls(scheme, bucket, key)

    def __str__(self) -> str:
        """Return the address."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.key}" if self.key else "")

    def __fspath__(self) -> str:
        """Return the address: wherever an address is taken, this is, too."""
        return str(self)

    def __truediv__(self, name: str) -> ObjectPath:
        """Return the place `name` below this."""
        return ObjectPath(self.scheme, self.bucket, f"{self.key}/{name}" if self.key else name)

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self.name.rpartition(".")[0] or self.name

    @property
    def suffix(self) -> str:
        """What follows the last dot of the name, and the dot."""
        head, dot, tail = self.name.rpartition(".")
        return dot + tail if head else ""

    @property
    def parent(self) -> ObjectPath:
        """The folder above."""
        return ObjectPath(self.scheme, self.bucket, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> ObjectPath:
        """Return another place in the same folder."""
        return self.parent / name

    @property
    def digest(self) -> str:
        """Names the address in a file name: what is kept of it locally lies under it."""
        return hashlib.blake2b(os.fsencode(str(self)), digest_size=8).hexdigest()

    @property
    def store(self) -> ObjectStore:
        """The bucket; one connection pool a process."""
        return _bucket(self.scheme, self.bucket)

    def store_below(self) -> ObjectStore:
        """Return a store whose keys count from this place."""
        return _bucket(self.scheme, self.bucket, self.key)

    def size(self) -> int | None:
        """Return the bytes of the object, or None if there is none of this very key."""
        head = self._head()
        return None if head is None else int(head["size"])

    def _head(self) -> ObjectMeta | None:
        if not self.key:
            return None
        import obstore

        with speaking_of(self):
            try:
                return obstore.head(self.store, self.key)
            except FileNotFoundError:
                return None

    def is_file(self) -> bool:
        """Whether an object has this very key."""
        return self.size() is not None

    def is_dir(self) -> bool:
        """Whether any object lies below."""
        return next(self.walk(), None) is not None

    def exists(self) -> bool:
        """Whether there is an object, or one below."""
        return self.is_file() or self.is_dir()

    def files(self) -> list[ObjectPath]:
        """Return the objects directly below, in order.

        Raises:
            InputError: The name of one is no plain name.
        """
        import obstore

        with speaking_of(self), needing_bucket(self):
            found = obstore.list_with_delimiter(self.store, self.key or None)["objects"]
        names = (one["path"].rpartition("/")[2] for one in found)
        return [self / plain_key(name, self) for name in sorted(names)]

    def absolute(self) -> ObjectPath:
        """Return itself, as paths do."""
        return self

    def walk(self) -> Iterator[tuple[str, int]]:
        """Yield relative key and bytes of every object below.

        Raises:
            InputError: A key that would leave the folder it is copied to.
        """
        for key, one in self._below():
            yield key, int(one["size"])

    def versions(self) -> list[tuple[str, int, str]]:
        """Return key, bytes and a mark of the content, of this object or of all below.

        Keys are relative, of the object itself empty.
        """
        if (head := self._head()) is not None:
            return [("", int(head["size"]), _mark(head))]
        return sorted((key, int(one["size"]), _mark(one)) for key, one in self._below())

    def modified(self, name: str) -> dict[str, float]:
        """Return when the objects below of this file name were written, by their relative keys."""
        return {
            key: one["last_modified"].timestamp()
            for key, one in self._below()
            if key.rpartition("/")[2] == name
        }

    def _below(self) -> Iterator[tuple[str, ObjectMeta]]:
        """Yield relative key and what is known of every object below."""
        import obstore

        with speaking_of(self), needing_bucket(self):
            for batch in obstore.list(self.store, self.key or None):
                for one in batch:
                    key = one["path"]
                    relative = key[len(self.key) + 1 :] if self.key else key
                    if relative and not (one["size"] == 0 and self._is_no_object(key)):
                        yield plain_key(relative, self), one

    def _is_no_object(self, key: str) -> bool:
        """Tell what marks a folder, `a/`, which is listed as `a`, from an empty object `a`."""
        return ObjectPath(self.scheme, self.bucket, key).size() is None

    def read_bytes(self) -> bytes:
        """Return the whole object.

        Raises:
            FileNotFoundError: There is none.
        """
        import obstore

        with speaking_of(self):
            return obstore.get(self.store, self.key).bytes().to_bytes()

    def read_text(self) -> str:
        """Return the whole object as UTF-8."""
        return self.read_bytes().decode()

    def write_bytes(self, content: Content) -> None:
        """Write an object, whole or not at all; large ones in parts."""
        import obstore

        with speaking_of(self), needing_bucket(self):
            attributes = {"Content-Type": content_type(self.name)}
            obstore.put(self.store, self.key, content, attributes=attributes)

    def create(self, content: Content) -> bool:
        """Write an object that is not there yet; return False if another was faster."""
        import obstore
        from obstore import exceptions

        with speaking_of(self), needing_bucket(self):
            try:
                obstore.put(self.store, self.key, content, mode="create")
            except exceptions.AlreadyExistsError:
                return False
        return True

    def replace_version(self, content: Content, version: UpdateVersion) -> bool:
        """Write an object over the version of it that is known; return False if it has changed."""
        import obstore
        from obstore import exceptions

        with speaking_of(self), needing_bucket(self):
            try:
                obstore.put(self.store, self.key, content, mode=version)
            except exceptions.PreconditionError:
                return False
        return True

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object; an absent one is deleted already."""
        import obstore

        del missing_ok
        with speaking_of(self):
            try:
                obstore.delete(self.store, self.key)
            except FileNotFoundError:
                return


def content_type(name: str) -> str:
    """Return the type that browsers expect of a file of this name."""
    return mimetypes.guess_type(name, strict=False)[0] or "application/octet-stream"


@contextmanager
def speaking_of(place: ObjectPath) -> Iterator[None]:
    """Turn what the client raises into errors that name the place; absence stays absence."""
    from obstore import exceptions

    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{place}: no such object") from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
        raise InputError(
            place,
            "the store refuses these credentials, or there are none",
            "Set those of the provider, e.g. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or AWS_SKIP_SIGNATURE=true for public buckets",
        ) from None
    except (exceptions.BaseError, ValueError) as error:
        raise RunError(
            place,
            f"the object store does not do what was asked ({_kind(error)})",
            "Check bucket, endpoint and network, and run the same command again; "
            "what is done is kept",
        ) from None


def is_of_client(error: Exception) -> bool:
    """Tell what the client of a store raises; the client need not be installed."""
    return any(kind.__module__.startswith("obstore") for kind in type(error).__mro__)


@contextmanager
def needing_bucket(place: ObjectPath) -> Iterator[None]:
    """Where the object need not exist, what is not found is the bucket."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(
            place, f"no bucket {place.bucket}", "Create it, or check name and endpoint"
        ) from error


def _kind(error: Exception) -> str:
    """Say what went wrong without repeating the server's words."""
    words = str(error)
    status = re.search(r"\bstatus(?: code)?:? (\d{3})\b", words, re.IGNORECASE)
    if status:
        return f"status {status[1]}"
    for sign in ("NoSuchBucket", "dns error", "Connection refused", "timed out", "connect"):
        if sign.lower() in words.lower():
            return sign
    return type(error).__name__


@lru_cache(maxsize=64)
def _bucket(scheme: str, bucket: str, prefix: str = "") -> ObjectStore:
    from obstore import store

    options: dict[str, Any] = {
        "prefix": prefix or None,
        "retry_config": _RETRY,
        "client_options": {
            # Plain http only where the user named such an endpoint.
            "allow_http": any(os.environ.get(name, "").startswith("http:") for name in _ENDPOINTS),
            "connect_timeout": timedelta(seconds=10),
            "timeout": timedelta(minutes=5),
        },
    }
    makers: dict[str, Callable[..., ObjectStore]] = {
        "s3": store.S3Store,
        "gs": store.GCSStore,
        "az": store.AzureStore,
    }
    return makers[scheme](bucket, **options)
