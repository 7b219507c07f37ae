"""An Apprise API server: its HTTP as documented, and the library that it is made of."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import apprise

from tests.receivers import served

with warnings.catch_warnings():  # of the modules that its plugins load
    warnings.simplefilter("ignore")
    apprise.Apprise().add("json://127.0.0.1")


@contextmanager
def apprise_server(stored: dict[str, list[str]]) -> Iterator[str]:
    """Yields the server's URL. ``stored`` are the URLs of services by the key that they are configured under."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            _, notify, *key = self.path.split("/")
            assert notify == "notify"
            message: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
            services = apprise.Apprise()
            for url in message["urls"].split(",") if "urls" in message else stored.get("".join(key), []):
                assert services.add(url), f"no URL of a service: {url}"
            self.send_response(self.notify(services, message) if len(services) else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def notify(self, services: apprise.Apprise, message: dict[str, Any]) -> int:
            sent = services.notify(
                body=message["body"],
                title=message["title"],
                notify_type=apprise.NotifyType(message["type"]),
                body_format=apprise.NotifyFormat(message["format"]),
            )
            return 200 if sent else 424

        def log_message(self, *args: Any) -> None:
            pass

    with served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}"
