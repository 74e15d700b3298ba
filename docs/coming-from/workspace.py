# An endpoint for amp: each user's Pod gets WORKSPACE and the user's folder of the volume "workspaces".
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def change(pod):
    user = (pod["metadata"].get("labels") or {}).get("hub.jupyter.org/username")
    if not user or any(v["name"] == "workspaces" for v in pod["spec"].get("volumes") or []):
        return []  # not a user's Pod, or amp has asked about this Pod before
    folder = "/workspaces/" + user
    return [
        {"op": "add", "path": "/spec/volumes/-", "value": {"name": "workspaces", "persistentVolumeClaim": {"claimName": "workspaces"}}},
        {"op": "add", "path": "/spec/containers/0/volumeMounts/-", "value": {"name": "workspaces", "mountPath": folder, "subPath": user}},
        {"op": "add", "path": "/spec/containers/0/env/-", "value": {"name": "WORKSPACE", "value": folder}},
    ]

class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = json.dumps(change(json.loads(body))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

ThreadingHTTPServer(("", int(os.environ["PORT"])), Endpoint).serve_forever()
