"""A bearer token's subject is the user, and the path must be theirs."""

from typing import Any

import jwt
from django.conf import settings
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission


class Subject:
    is_authenticated = True

    def __init__(self, subject: str) -> None:
        self.subject = subject


class BearerAuthentication(BaseAuthentication):
    def authenticate(self, request: Any) -> tuple[Subject, None]:
        _scheme, _, token = get_authorization_header(request).partition(b" ")
        try:
            claims = jwt.decode(token, settings.SECRET_KEY, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            raise AuthenticationFailed from None
        return Subject(claims["sub"]), None

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class IsOwner(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        allowed: bool = request.user is not None and view.kwargs["user_id"] == request.user.subject
        return allowed
