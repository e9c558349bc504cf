"""``<store>/state.db``: status and pins of plugins, and the history of changes.

    plugin                      only plugins whose state differs from the default
        namespace, name         the plugin (primary key)
        status                  0 disabled, 1 enabled, 2 error: fixed numbers, also used by other hosts
        version, error          which version failed, and the error text; NULL unless status is 2
        pin                     the pinned version; NULL: none
    change                      one command that changed something, see `sealdex.store.transaction`
        id                      counts up and is never reused
        at                      UTC time, such as 2026-11-21T12:00:00Z
        command                 the request as text: "install acme/slack@^1.2"
        phase                   preparing -> committed -> done, or preparing -> undone
        undoes                  of a rollback: the oldest change that it undoes; else NULL
    member                      the effect of a change on one plugin
        change, namespace, name the change and the plugin (primary key)
        version_before, _after  the version in use; NULL: none
        pin_before, _after      as above
        enabled_before, _after  0 or 1
        unpacks                 the version that the change adds to the store; NULL: none
        removes                 JSON list of the versions that it removes
        restores                JSON list of the versions that it, a rollback, restores
    author                      who made a change, since 0.2; an older sealdex leaves the table alone
        change, name            the change (primary key) and the user's name on this host

``PRAGMA user_version`` counts the migrations that were run; each runs in the transaction that raises it.

Every use opens the file, does one transaction and closes it: two milliseconds in commands that unpack archives. Writers
begin with BEGIN IMMEDIATE, so that a commit never fails because of another writer, and wait for each other up to
`_PATIENCE_S`. The journal is SQLite's default, deleted at each commit, not a write-ahead log: that needs shared memory,
which network file systems don't have, and there are no long readers to protect. ``synchronous=FULL`` makes a commit
survive a power cut; the kill-safety of set changes depends on that.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec import Struct

from sealdex.errors import MAKE_ROOM, FormatTooNewError, InstallError, is_disk_full
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.versions import version_problem
from sealdex.store.change import Change, Facts, Member, Phase
from sealdex.store.layout import Store

_PATIENCE_S = 60.0
_CHANGE_COUNTER_AT = 24

DISABLED, ENABLED, FAILED = 0, 1, 2

_MIGRATIONS = (
    (
        """CREATE TABLE plugin (
            namespace TEXT NOT NULL, name TEXT NOT NULL,
            status INTEGER NOT NULL DEFAULT 1 CHECK (status IN (0, 1, 2)),
            version TEXT, error TEXT, pin TEXT,
            PRIMARY KEY (namespace, name)
        ) WITHOUT ROWID""",
        """CREATE TABLE change (
            id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, command TEXT NOT NULL,
            phase TEXT NOT NULL CHECK (phase IN ('preparing', 'committed', 'done', 'undone')),
            undoes INTEGER REFERENCES change
        )""",
        """CREATE TABLE member (
            change INTEGER NOT NULL REFERENCES change, namespace TEXT NOT NULL, name TEXT NOT NULL,
            version_before TEXT, version_after TEXT, pin_before TEXT, pin_after TEXT,
            enabled_before INTEGER NOT NULL, enabled_after INTEGER NOT NULL,
            unpacks TEXT, removes TEXT NOT NULL,
            PRIMARY KEY (change, namespace, name)
        ) WITHOUT ROWID""",
        "CREATE INDEX change_open ON change (phase) WHERE phase IN ('preparing', 'committed')",
    ),
    ("ALTER TABLE member ADD COLUMN restores TEXT NOT NULL DEFAULT '[]'",),
)


class PluginRow(Struct, frozen=True):
    """The state of a plugin apart from its files; plugins without a row have the defaults."""

    status: int = ENABLED
    version: str | None = None
    error: str | None = None
    pin: str | None = None


class State:
    """The database of one store; creating the object does no I/O, and a missing file reads as empty.

    Raises:
        InstallError: each method, if the file can't be read or written.
        FormatTooNewError: each method, if a newer sealdex has written it.
    """

    def __init__(self, store: Store) -> None:
        self._path = Path(store.state_file)

    # --- plugins -----------------------------------------------------------------------------------------------------

    def plugin(self, plugin: PluginId) -> PluginRow:
        """Return the state of a plugin."""
        return self.plugins().get(plugin, PluginRow())

    def plugins(self) -> dict[PluginId, PluginRow]:
        """Return the states of the plugins that have one."""
        if not self._path.exists():
            return {}
        with self._reading() as database:
            rows = database.execute("SELECT namespace, name, status, version, error, pin FROM plugin ORDER BY 1, 2")
            return {_plugin(row[0], row[1]): _row(*row[2:]) for row in rows}

    def known_plugins(self) -> set[PluginId]:
        """Return all plugins that any change ever affected."""
        if not self._path.exists():
            return set()
        with self._reading() as database:
            return {PluginId(*row) for row in database.execute("SELECT DISTINCT namespace, name FROM member")}

    def change_counter(self) -> bytes | None:
        """Return the counter that each change of the database increments; None if there is no database."""
        try:
            with self._path.open("rb") as file:
                file.seek(_CHANGE_COUNTER_AT)
                return file.read(4) or None
        except OSError:
            return None

    def note(self, plugin: PluginId, status: int, version: str | None = None, error: str | None = None) -> None:
        """Record the status of a plugin; a disabled one stays disabled."""
        failed = status == FAILED
        with self._writing() as database:
            database.execute(
                """INSERT INTO plugin (namespace, name, status, version, error) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (namespace, name) DO UPDATE
                SET status = excluded.status, version = excluded.version, error = excluded.error
                WHERE status <> 0
                """,
                (*plugin, status, version if failed else None, error if failed else None),
            )

    # --- changes -----------------------------------------------------------------------------------------------------

    def pinned_since(self) -> dict[PluginId, str]:
        """Return when each pinned plugin was pinned to its version, by whom and by which command, as text."""
        pinned = {plugin: row.pin for plugin, row in self.plugins().items() if row.pin is not None}
        found: dict[PluginId, str] = {}
        if not pinned:
            return found
        with self._reading() as database:
            authors = _authors(database)
            rows = database.execute(
                """SELECT namespace, name, pin_after, id, at, command FROM member JOIN change ON id = change
                WHERE phase IN ('committed', 'done') AND pin_after IS NOT NULL AND pin_before IS NOT pin_after
                ORDER BY id""",
            )
            for namespace, name, pin, change, at, command in rows:
                if pinned.get(plugin := _plugin(namespace, name)) == pin:
                    by = f" by {authors[change]}" if change in authors else ""
                    found[plugin] = f"{at}{by} ({command})"
        return found

    def begin(self, command: str, members: Sequence[Member], undoes: int | None = None) -> int:
        """Record a change before any of it is done; return its id."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self._writing() as database:
            cursor = database.execute(
                "INSERT INTO change (at, command, phase, undoes) VALUES (?, ?, ?, ?)",
                (now, command, "preparing", undoes),
            )
            change = cursor.lastrowid
            if change is None:
                raise AssertionError("unreachable: an insert gives a row")
            if who := user_name():
                database.execute(_AUTHOR_TABLE)
                database.execute("INSERT INTO author VALUES (?, ?)", (change, who))
            database.executemany(
                "INSERT INTO member VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(change, *_member_values(member)) for member in members],
            )
        return change

    def commit(self, change: int, members: Iterable[Member]) -> None:
        """Commit a change: from here on it will be finished, and its pins and enabled states are in effect."""
        with self._writing() as database:
            database.execute("UPDATE change SET phase = ? WHERE id = ?", ("committed", change))
            for member in members:
                status = ENABLED if member.after.enabled else DISABLED
                database.execute(
                    """INSERT INTO plugin (namespace, name, status, pin) VALUES (?, ?, ?, ?)
                    ON CONFLICT (namespace, name) DO UPDATE SET pin = excluded.pin,
                        status = CASE WHEN status = 2 AND excluded.status = 1 AND ? THEN 2 ELSE excluded.status END""",
                    (*member.plugin, status, member.after.pin, member.before == member.after),
                )
            database.execute("UPDATE plugin SET version = NULL, error = NULL WHERE status <> 2")
            database.execute("DELETE FROM plugin WHERE status = 1 AND pin IS NULL")

    def close(self, change: int, phase: Phase) -> None:
        """Record that a change is ``done`` or ``undone``."""
        with self._writing() as database:
            database.execute("UPDATE change SET phase = ? WHERE id = ?", (phase, change))

    def unfinished(self) -> list[Change]:
        """Return changes left unfinished by a process that died, oldest first; the caller holds the store's lock."""
        return self._changes("WHERE phase IN ('preparing', 'committed') ORDER BY id")

    def history(self, limit: int = -1) -> list[Change]:
        """Return the changes that were done, newest first; ``limit`` -1 for all."""
        return self._changes("WHERE phase = 'done' ORDER BY id DESC LIMIT ?", limit)

    def _changes(self, where: str, *values: int) -> list[Change]:
        if not self._path.exists():
            return []
        with self._reading() as database:
            rows = database.execute(
                f"SELECT id, at, command, phase, undoes FROM change {where}",  # noqa: S608  # two constants of this class
                values,
            ).fetchall()
            authors = _authors(database)
            return [
                Change(i, at, command, phase, undoes, self._members(database, i), authors.get(i))
                for i, at, command, phase, undoes in rows
            ]

    def _members(self, database: sqlite3.Connection, change: int) -> tuple[Member, ...]:
        rows = database.execute(
            """SELECT namespace, name, version_before, version_after, pin_before, pin_after, enabled_before,
            enabled_after, unpacks, removes, restores FROM member WHERE change = ? ORDER BY namespace, name""",
            (change,),
        )
        return tuple(
            Member(
                _plugin(row[0], row[1]),
                Facts(_version(row[2]), _version(row[4]), bool(row[6])),
                Facts(_version(row[3]), _version(row[5]), bool(row[7])),
                _version(row[8]),
                _versions(row[9]),
                _versions(row[10]),
            )
            for row in rows
        )

    # --- connections -------------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._told(), closing(self._connect()) as database:
            yield database

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._told():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect(is_migrated=False)) as database:
                database.execute("BEGIN IMMEDIATE")
                try:
                    _migrate(
                        database, self._path
                    )  # with what is written: a transaction of its own would be flushed too
                    yield database
                except BaseException:
                    if database.in_transaction:  # if the disk is full, SQLite has already rolled back
                        database.execute("ROLLBACK")
                    raise
                database.execute("COMMIT")

    def _connect(self, *, is_migrated: bool = True) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_PATIENCE_S, isolation_level=None)
        try:
            database.execute("PRAGMA synchronous = FULL")
            if is_migrated and _schema_version(database) != len(_MIGRATIONS):
                database.execute("BEGIN IMMEDIATE")
                _migrate(database, self._path)
                database.execute("COMMIT")
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except _NotOursError as error:
            raise InstallError(
                f"the state of the store has content that this program did not write: {error}",
                subject=str(self._path),
                untouched="nothing was changed",
                hint="find out who else can write to the store: sealdex doctor; deleting this file loses only "
                "pins, states and history",
            ) from error
        except (sqlite3.Error, OSError) as error:
            full = is_disk_full(error)
            raise InstallError(
                f"the disk of {self._path} is full" if full else f"the state of the store can't be used: {error}",
                subject=str(self._path),
                untouched="what is installed was not changed; the next command finishes or undoes what was begun",
                hint=MAKE_ROOM
                if full
                else "check the permissions of the store and the free space on its disk: sealdex doctor",
            ) from error


# no migration: a store that this sealdex changed goes on being read by 0.1.0, which knows no such table
_AUTHOR_TABLE = "CREATE TABLE IF NOT EXISTS author (change INTEGER PRIMARY KEY REFERENCES change, name TEXT NOT NULL)"


def _authors(database: sqlite3.Connection) -> dict[int, str]:
    """Return who made each change; of those before 0.2 nobody is known."""
    if database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'author'").fetchone() is None:
        return {}
    return {change: str(name) for change, name in database.execute("SELECT change, name FROM author")}


def user_name() -> str | None:
    """Return the name of this process's user on this host, and who became it by sudo; None if it has none."""
    try:
        import pwd  # noqa: PLC0415  # not on Windows

        name = pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError, OSError):
        import getpass  # noqa: PLC0415  # for Windows, and users without a name

        try:
            name = getpass.getuser()
        except (ImportError, KeyError, OSError):
            return None
    behind = os.environ.get("SUDO_USER")
    return f"{behind} (as {name})" if behind and behind != name else name


class _NotOursError(ValueError):
    """A value that this program never writes, so another one did."""


def _plugin(namespace: str, name: str) -> PluginId:
    try:
        return parse_plugin_id(f"{namespace}/{name}")
    except ValueError as error:
        raise _NotOursError(str(error)) from error


def _version(text: str | None) -> str | None:
    if text is not None and (not isinstance(text, str) or version_problem(text)):
        raise _NotOursError(f"{text!a} is not a version")
    return text


def _versions(text: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise _NotOursError(f"{str(text)[:80]!a} is not a list of versions") from error
    if not isinstance(found, list) or not all(isinstance(each, str) and _version(each) for each in found):
        raise _NotOursError(f"{str(text)[:80]!a} is not a list of versions")
    return tuple(found)


def _row(status: int, version: str | None, error: str | None, pin: str | None) -> PluginRow:
    if status not in {DISABLED, ENABLED, FAILED}:
        raise _NotOursError(f"{status!a} is not a status")
    return PluginRow(status, version, error, _version(pin))


class StoredStatus:
    """Keeps the status of plugins in the store, for `sealdex.runtime`."""

    def __init__(self, store: Store) -> None:
        self._state = State(store)

    def is_enabled(self, plugin: PluginId) -> bool:
        """Return whether the plugin may be loaded."""
        return self._state.plugin(plugin).status != DISABLED

    def mark(self) -> bytes | None:
        """Return a value that changes whenever a status changes; None if there is no database or it can't be read.

        It is the file change counter in the header of the database (sqlite.org/fileformat2.html, 1.3.7).
        """
        return self._state.change_counter()

    def note(self, plugin: PluginId, version: str, status: int, error: str | None) -> None:
        """Record the status of a version; writes only if it changed."""
        before = self._state.plugin(plugin)
        told = (FAILED, version, error) if status == FAILED else (ENABLED, None, None)
        if before.status != DISABLED and (before.status, before.version, before.error) != told:
            self._state.note(plugin, status, version, error)


def _member_values(member: Member) -> tuple[object, ...]:
    before, after = member.before, member.after
    return (
        *member.plugin, before.version, after.version, before.pin, after.pin, before.enabled, after.enabled,
        member.unpacks, json.dumps(member.removes), json.dumps(member.restores),
    )  # fmt: skip


def _schema_version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    """Run missing migrations inside the current transaction; another process may have just done it."""
    version = _schema_version(database)
    if version > len(_MIGRATIONS):
        raise FormatTooNewError(
            f"the state of the store has format {version}; this sealdex reads up to {len(_MIGRATIONS)}",
            subject=str(path),
            untouched="nothing was changed",
            hint="upgrade sealdex: pip install --upgrade sealdex",
        )
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            database.execute(statement)
    if version < len(_MIGRATIONS):
        database.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
