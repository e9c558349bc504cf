"""A service package's program: health check and one endpoint, over the standard library."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODELS = Path(os.environ.get("MODELS_DIR", Path(__file__).parent / "models"))
VOICE = json.loads((MODELS / "tts" / "voice" / "voice.json").read_text(encoding="utf-8"))


def say(text):
    """Return the text in the model's voice."""
    for word, better in VOICE["replacements"].items():
        text = text.replace(word, better)
    return f"{VOICE['greeting']}: {text}"


class Handler(BaseHTTPRequestHandler):
    """GET /health, POST /say."""

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/health":
            self.answer(200, {"status": "ok"})
        else:
            self.answer(404, {"error": "there is /health and /say"})

    def do_POST(self):
        if self.path != "/say":
            self.answer(404, {"error": "there is /health and /say"})
            return
        length = min(int(self.headers.get("Content-Length", 0)), 65536)
        self.answer(200, {"text": say(self.rfile.read(length).decode("utf-8", "replace"))})

    def log_message(self, format, *args):
        print(f"{self.address_string()} {format % args}", flush=True)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "5008"))), Handler)
    print(f"listening on {server.server_address[1]}", flush=True)
    server.serve_forever()
