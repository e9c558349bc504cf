"""A notify plugin as a program: JSON-RPC 2.0 on stdin and stdout, one message a line."""

import json
import sys
from datetime import datetime, timezone


class Journal:
    """Appends lines to a file."""

    def initialize(self, protocol, config, **_):
        self.path, self.sent = config["path"], 0
        print(f"writing to {self.path}", file=sys.stderr)  # stderr is the log
        return {"protocol": 1}

    def send(self, message):
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(f"{now} {message}\n")
        self.sent += 1
        return {"sent": self.sent}

    def shutdown(self):
        return None


def answer(plugin, request):
    """Return the response to one request."""
    params = request.get("params", [])
    method = getattr(plugin, request["method"], None)
    if method is None:
        return {"error": {"code": -32601, "message": f"there is no {request['method']}, only send"}}
    try:
        result = method(**params) if isinstance(params, dict) else method(*params)
    except (KeyError, OSError, TypeError, ValueError) as error:
        return {"error": {"code": -32000, "message": f"{type(error).__name__}: {error}"}}
    return {"result": result}


def main():
    plugin = Journal()
    for line in sys.stdin:
        request = json.loads(line)
        response = {"jsonrpc": "2.0", "id": request["id"], **answer(plugin, request)}
        print(json.dumps(response), flush=True)


if __name__ == "__main__":
    main()
