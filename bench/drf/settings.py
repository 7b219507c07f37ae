"""The settings that ``django-admin startproject`` would give an API without sessions and admin."""

import os
from urllib.parse import parse_qs, unquote, urlsplit

_url = urlsplit(os.environ["DATABASE_URL"])
_host = parse_qs(_url.query).get("host", [_url.hostname or ""])[0]
SECRET_KEY = os.environ["JWT_SECRET"]
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "bench.drf.urls"
WSGI_APPLICATION = "bench.drf.wsgi.application"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "bench.drf"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path[1:],
        "USER": unquote(_url.username or "postgres"),
        "PASSWORD": unquote(_url.password or ""),
        "HOST": _host,
        "PORT": str(_url.port or ""),
        "OPTIONS": {
            "options": "-c search_path=bench_drf",
            "pool": {"min_size": 1, "max_size": int(os.environ["POOL_SIZE"])},
        },
    }
}
USE_TZ = True
TIME_ZONE = "UTC"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["bench.drf.auth.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["bench.drf.auth.IsOwner"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "ERROR"},
}
