"""The Python API for ``asyncio``: the methods of `sealdex.api.Client` as coroutines, run in a thread.

from sealdex import AsyncClient

async with AsyncClient() as client:
await asyncio.wait_for(client.install("acme/slack@^1.2"), timeout=60)
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sealdex.api import Client
from sealdex.errors import CancelledError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from sealdex.config.config import Config
    from sealdex.config.environment_file import OtherHost
    from sealdex.events import Observer
    from sealdex.locate import Answer
    from sealdex.model.environment import Environment
    from sealdex.resolve import Policy, Request

P = ParamSpec("P")
T = TypeVar("T")


def _coroutine(
    method: Callable[Concatenate[Client, P], T],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """Return a method of `Client` as a coroutine: the same arguments, results and errors."""

    @functools.wraps(method)
    async def run(self: AsyncClient, /, *args: P.args, **options: P.kwargs) -> T:
        return await self._run(functools.partial(method, self.client, *args, **options))

    run.__doc__ = f"{inspect.getdoc(method)}\n"
    return run


class AsyncClient:
    """A `Client` whose methods are coroutines; the same arguments, results and errors.

    The calls of one AsyncClient run one after the other, in a thread of its own; several AsyncClients run side by side,
    also on one store. A task that is cancelled, as by `asyncio.timeout`, ends its call: it is waited for until it has
    ended, so nothing goes on unseen, and whatever had not been finished wasn't begun.

    Args:
        config, store, observer, offline: as of `Client`; the observer is called in the client's threads.

    Attributes:
        client: the client that does the work.
    """

    def __init__(
        self,
        config: Config | Path | str | None = None,
        *,
        store: Path | str | None = None,
        observer: Observer | None = None,
        offline: bool = False,
    ) -> None:
        self.client = Client(config, store=store, observer=observer, offline=offline)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sealdex")

    async def __aenter__(self) -> AsyncClient:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, after the calls that were made."""
        await self._run(self.client.close)
        self._thread.shutdown()

    @property
    def config(self) -> Config:
        """The configuration of the client."""
        return self.client.config

    @property
    def environment(self) -> Environment:
        """The labels and tags of this host, as selectors see them."""
        return self.client.environment

    refresh = _coroutine(Client.refresh)
    search = _coroutine(Client.search)
    info = _coroutine(Client.info)
    manifest = _coroutine(Client.manifest)
    attachment = _coroutine(Client.attachment)
    resolve = _coroutine(Client.resolve)
    locate = _coroutine(Client.locate)

    install = _coroutine(Client.install)
    preview = _coroutine(Client.preview)
    install_archive = _coroutine(Client.install_archive)
    fetch = _coroutine(Client.fetch)
    uninstall = _coroutine(Client.uninstall)
    current = _coroutine(Client.current)
    path = _coroutine(Client.path)
    verify = _coroutine(Client.verify)
    list = _coroutine(Client.list)

    use = _coroutine(Client.use)
    pin = _coroutine(Client.pin)
    unpin = _coroutine(Client.unpin)
    enable = _coroutine(Client.enable)
    disable = _coroutine(Client.disable)
    rollback = _coroutine(Client.rollback)
    history = _coroutine(Client.history)

    outdated = _coroutine(Client.outdated)
    update = _coroutine(Client.update)
    lock = _coroutine(Client.lock)
    ensure = _coroutine(Client.ensure)

    registries = _coroutine(Client.registries)
    add_registry = _coroutine(Client.add_registry)
    remove_registry = _coroutine(Client.remove_registry)
    gc = _coroutine(Client.gc)

    async def locate_for(
        self,
        hosts: Iterable[OtherHost],
        *requests: Request | str,
        policy: Policy | None = None,
        dependencies: bool = False,
    ) -> AsyncIterator[Answer]:
        """Yield what each of other hosts would take; as `Client.locate_for`."""
        answers = await self._run(
            functools.partial(self.client.locate_for, hosts, *requests, policy=policy, dependencies=dependencies)
        )
        while (answer := await self._run(functools.partial(_next, answers))) is not None:
            yield answer

    async def _run(self, work: Callable[[], T]) -> T:
        """Run something in the client's thread; if this task is cancelled, end it and wait for its end."""
        running = _Running(self.client, work)
        future = self._thread.submit(running)
        waited = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(waited)
        except asyncio.CancelledError:
            running.cancel(future)
            while not waited.done():  # however often this task is cancelled meanwhile
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([waited])
            if not waited.cancelled():
                waited.exception()  # looked at, so that asyncio doesn't report it as lost
            raise


class _Running:
    """One call, which another thread may end without touching the calls after it."""

    def __init__(self, client: Client, work: Callable[[], T]) -> None:
        self._client = client
        self._work = work
        self._is_cancelled = False

    def __call__(self) -> Any:
        if self._is_cancelled:
            raise CancelledError("it was cancelled before it began", untouched="nothing was changed")
        return self._work()

    def cancel(self, future: Future[Any]) -> None:
        """End the call; the client goes on when it has ended."""
        self._is_cancelled = True
        if future.cancel():
            return  # it hadn't begun
        self._client.cancel()
        future.add_done_callback(lambda _done: self._client.resume())


def _next(answers: Iterator[Answer]) -> Answer | None:
    return next(answers, None)


__all__ = ["AsyncClient"]
