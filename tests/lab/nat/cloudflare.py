"""Stands in for Cloudflare's API by its public shape, with the lab's coturn behind it.

`python cloudflare.py ADDRESS PORT SECRET URL`: credentials are good for the seconds that are asked for.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from voicedeploy.serve.relay import minted

ADDRESS, PORT, SECRET, URL = sys.argv[1:]


class Api(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        ttl = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["ttl"]
        right = self.path == "/v1/turn/keys/key1/credentials/generate-ice-servers"
        self.send_response(201 if right and self.headers["Authorization"] == "Bearer token1" else 401)
        self.end_headers()
        username, credential = minted(SECRET, "cloudflare", time.time() + ttl)
        servers = [{"urls": [URL], "username": username, "credential": credential}]
        self.wfile.write(json.dumps({"iceServers": servers}).encode())


ThreadingHTTPServer((ADDRESS, int(PORT)), Api).serve_forever()
