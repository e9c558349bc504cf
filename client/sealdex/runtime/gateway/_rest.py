"""The routes of Arcade's plugin engine, as an ASGI application. Every request passes the guard first."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sealdex.errors import SealdexError, UsageError
from sealdex.runtime.gateway import guard
from sealdex.runtime.gateway._engine import manifest_problems
from sealdex.runtime.gateway._forms import fields_of
from sealdex.runtime.gateway.host import Host

MAX_BODY_BYTES = 1 << 20
_PLUGINS = "/api/v1/plugins"
_STATUS = {2: 400, 3: 404, 4: 502, 5: 503}

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class _TooLargeError(Exception):
    """A request has more bytes than are read."""


class Guarded:
    """Lets requests in by `guard.refusal`, and reads no more of a body than `MAX_BODY_BYTES`.

    Args:
        app: what is guarded.
        port: of loopback; None for a Unix socket.
        token: allows changes on loopback.
    """

    def __init__(self, app: Starlette, *, port: int | None, token: str | None) -> None:
        self._app, self._port, self._token = app, port, token

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        found = guard.refusal(scope["method"], scope["path"], headers, port=self._port, token=self._token)
        if found is None and _length(headers) > MAX_BODY_BYTES:
            found = _too_large()
        if found is not None:
            await _refused(found)(scope, receive, send)
            return
        read = 0

        async def limited() -> _Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY_BYTES:
                raise _TooLargeError
            return message

        await self._app(scope, limited, send)


def rest_app(host: Host, *, port: int | None, token: str | None) -> Guarded:
    """Return the application; see `Guarded` for ``port`` and ``token``."""
    routes = _Routes(host)
    one = f"{_PLUGINS}/{{namespace}}/{{name}}"
    table = [
        Route(_PLUGINS, routes.list, methods=["GET"]),
        Route(f"{_PLUGINS}/metrics", routes.metrics, methods=["GET"]),
        Route(f"{_PLUGINS}/validate-manifest", routes.validate, methods=["POST"]),
        Route(f"{_PLUGINS}/install", routes.install, methods=["POST"]),
        Route(one, routes.detail, methods=["GET"]),
        Route(one, routes.update, methods=["PUT"]),
        Route(one, routes.uninstall, methods=["DELETE"]),
        Route(f"{one}/enable", routes.enable, methods=["POST"]),
        Route(f"{one}/disable", routes.disable, methods=["POST"]),
    ]
    handlers = {SealdexError: _failed, _TooLargeError: _cut_off, 404: _no_route, 405: _no_route, 500: _unexpected}
    app = Starlette(routes=table, exception_handlers=handlers)
    return Guarded(app, port=port, token=token)


class _Routes:
    def __init__(self, host: Host) -> None:
        self._host = host

    async def list(self, request: Request) -> Response:
        asked = request.query_params
        status = asked.get("status", "")
        if status not in {"", "0", "1", "2"}:
            raise UsageError(f"status '{status}' is not 0 (disabled), 1 (enabled) or 2 (error)")
        found = await run_in_threadpool(
            self._host.installed, plugin_type=asked.get("pluginType", ""), status=int(status) if status else None
        )
        return JSONResponse(found)

    async def metrics(self, _request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._host.metrics))

    async def validate(self, request: Request) -> Response:
        fields = await _fields(request)
        problems = manifest_problems(_manifest(fields) if "manifest" in fields else fields)
        return JSONResponse({"valid": not problems, "problems": problems})

    async def install(self, request: Request) -> Response:
        fields = await _fields(request)
        source = fields.get("source", "market")
        if source != "market" or "file" in fields:
            raise UsageError(
                "a gateway installs what a registry signed, and no uploaded file",
                untouched="nothing was installed",
                hint="on the host: sealdex install ./plugin.zip --allow-unsigned",
            )
        manifest = _manifest(fields)
        plugin = _text(fields, "marketId") or _text(fields, "pluginId")
        if not plugin:
            raise UsageError("marketId is missing: write NAMESPACE/NAME", untouched="nothing was installed")
        version = _text(fields, "version") or _text(manifest, "version")
        return JSONResponse(await run_in_threadpool(self._host.install, plugin, version), 201)

    async def detail(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._host.detail, _plugin(request)))

    async def update(self, request: Request) -> Response:
        fields = await _fields(request)
        version = _text(fields, "version") or _text(_manifest(fields), "version")
        return JSONResponse(await run_in_threadpool(self._host.update, _plugin(request), version))

    async def uninstall(self, request: Request) -> Response:
        await run_in_threadpool(self._host.uninstall, _plugin(request))
        return Response(status_code=204)

    async def enable(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._host.enable, _plugin(request), enabled=True))

    async def disable(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._host.enable, _plugin(request), enabled=False))


def _plugin(request: Request) -> str:
    return f"{request.path_params['namespace']}/{request.path_params['name']}"


async def _fields(request: Request) -> dict[str, Any]:
    return fields_of(request.headers.get("content-type", ""), await request.body())


def _manifest(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest within a form, where it is text."""
    found = fields.get("manifest", {})
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"the manifest is not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError("the manifest is not a JSON object")
    return found


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise UsageError(f"{name} is not text")
    return value


def _length(headers: dict[str, str]) -> int:
    stated = headers.get("content-length", "0")
    return int(stated) if stated.isascii() and stated.isdigit() else 0


def _too_large() -> guard.Refusal:
    return guard.Refusal(413, f"a request has at most {MAX_BODY_BYTES} bytes")


def _refused(found: guard.Refusal) -> Response:
    return _error(found.status, "refused", found.message, hint=found.hint)


async def _failed(_request: Request, error: Exception) -> Response:
    if not isinstance(error, SealdexError):
        raise error
    status = _STATUS.get(error.exit_code, 500 if error.code == "failed" else 409)
    return _error(status, error.code, error.message, subject=error.subject, untouched=error.untouched, hint=error.hint)


async def _cut_off(_request: Request, _: Exception) -> Response:
    return _refused(_too_large())


async def _unexpected(_request: Request, error: Exception) -> Response:
    return _error(500, "unexpected", f"{type(error).__name__}: {error}")


async def _no_route(request: Request, _: Exception) -> Response:
    hint = "a plugin's id is NAMESPACE/NAME: GET /api/v1/plugins/NAMESPACE/NAME"
    return _error(404, "not-found", f"there is no {request.method} {request.url.path}", hint=hint)


def _error(status: int, code: str, message: str, **more: str | None) -> Response:
    said = {"code": code, "message": message, **{name: text for name, text in more.items() if text}}
    return JSONResponse({"error": said}, status)


__all__ = ["MAX_BODY_BYTES", "Guarded", "rest_app"]
