import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Task(models.Model):
    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField(default=uuid.uuid4, unique=True)
    user_id = models.TextField(db_index=True)
    title = models.CharField(max_length=200)
    description = models.CharField(max_length=16_384, null=True, blank=True, default=None)
    completed = models.BooleanField(default=False)
    status = models.TextField(default="pending")
    completed_at = models.DateTimeField(null=True, default=None)
    priority = models.CharField(
        max_length=6, default="medium", choices=[(name, name) for name in ("none", "low", "medium", "high", "urgent")]
    )
    due_date = models.DateField(null=True, default=None)
    start_date = models.DateField(null=True, default=None)
    deadline = models.DateField(null=True, default=None)
    estimate_minutes = models.IntegerField(null=True, default=None)
    favorite = models.BooleanField(default=False)
    tags = ArrayField(models.CharField(max_length=50), default=list, size=20)
    project_id = models.BigIntegerField(null=True, default=None)
    parent_id = models.BigIntegerField(null=True, default=None)
    position = models.TextField(default="", blank=True)
    recurrence = models.TextField(null=True, default=None)
    recurrence_from = models.TextField(default="due")
    series_id = models.BigIntegerField(null=True, default=None)
    reminders = ArrayField(models.TextField(), default=list)
    remind_at = models.DateTimeField(null=True, default=None)
    remind_channels = ArrayField(models.BigIntegerField(), null=True, default=None)
    version = models.BigIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        managed = False
        db_table = "tasks"
