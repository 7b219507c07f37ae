from typing import Any

from django.utils import timezone
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from bench.drf.models import Task

READ_ONLY = (
    "id", "uid", "user_id", "status", "completed_at", "start_date", "deadline", "estimate_minutes", "favorite",
    "project_id", "parent_id", "position", "recurrence", "recurrence_from", "series_id", "reminders", "remind_at",
    "remind_channels", "version", "created_at", "updated_at",
)  # fmt: skip


class TaskSerializer(serializers.ModelSerializer):
    class Meta:
        model = Task
        fields = "__all__"
        read_only_fields = READ_ONLY


class TaskViewSet(viewsets.ModelViewSet):
    serializer_class = TaskSerializer

    def get_queryset(self) -> Any:
        found = Task.objects.filter(user_id=self.request.user.subject).order_by("-created_at", "-id")
        if self.action == "list":
            found = found[: int(self.request.query_params.get("limit", 100))]
        return found

    def perform_create(self, serializer: Any) -> None:
        serializer.save(user_id=self.request.user.subject)

    @action(detail=True, methods=["patch"])
    def complete(self, request: Any, **kwargs: Any) -> Response:
        task = self.get_object()
        task.completed = not task.completed
        task.status = "completed" if task.completed else "pending"
        task.completed_at = timezone.now() if task.completed else None
        task.version += 1
        task.save()
        return Response(self.get_serializer(task).data)
