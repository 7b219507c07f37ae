"""Receives webhooks and accepts only those that the service signed. Standard library only.

    SECRET=whsec_... PORT=9000 python examples/webhook_receiver.py

Respond with 2xx only after the event is stored: with any other status it is sent again. An event may come twice, with
the same id.
"""

import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE = 300  # seconds: an older message may be a replay by an attacker


def is_genuine(secret: str, message_id: str, timestamp: str, signatures: str, body: bytes) -> bool:
    """Verifies by Standard Webhooks: one signature is the HMAC of id, time and body. A rotation has two."""
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(wanted, given) for given in signatures.split())


class Receiver(BaseHTTPRequestHandler):
    seen: set[str] = set()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        message_id, timestamp, signatures = (
            self.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
        )
        genuine = is_genuine(os.environ["SECRET"], message_id, timestamp, signatures, body)
        if genuine and message_id not in self.seen:
            self.seen.add(message_id)
            event = json.loads(body)
            print(event["type"], json.dumps(event["data"].get("data", {}).get("title")), flush=True)
        self.send_response(204 if genuine else 401)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


if __name__ == "__main__":
    if "SECRET" not in os.environ:
        raise SystemExit("set SECRET to the secret that creating the webhook returned: whsec_...")
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Receiver).serve_forever()
