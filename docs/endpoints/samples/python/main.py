# An endpoint in Python, with the standard library only: it writes down who created a Pod.
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote
KEY = "example.com/created-by"

class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps the connection: amp need not open one for each Pod

    def do_POST(self):
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            annotations = json.loads(body)["metadata"].get("annotations") or {}
        except (ValueError, TypeError, KeyError, AttributeError):
            return self.answer(400, {"error": "want a Pod as JSON"})
        if KEY in annotations:
            return self.answer(200, [])
        path = "/metadata/annotations/" + KEY.replace("/", "~1")
        self.answer(200, [{"op": "add", "path": path, "value": unquote(self.headers.get("ce-authid", ""))}])

    def answer(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

ThreadingHTTPServer(("", int(os.environ["PORT"])), Endpoint).serve_forever()
