"""A later version of the client, with another text in a part that is loaded when it is opened."""

from fastapi import FastAPI

from app.main import create_app
from app.routers import web_client

VERSION = "0123456789abcdef"


def create() -> FastAPI:
    name = "views/help.js"
    source = web_client.CLIENT_FILES[name].decode()
    assert "<h2" in source
    web_client.CLIENT_FILES[name] = source.replace("<h2", "<p>Of the newer version</p><h2", 1).encode()
    web_client.CLIENT_VERSION = VERSION
    return create_app()
