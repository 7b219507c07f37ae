"""The same API in the style of good tutorials: FastAPI, SQLModel entities, AsyncSession, response models, PyJWT.

Nothing is done badly on purpose: asynchronous throughout, an index for the list, a pool of the same size. It
also does less: no isolation in the database, no change rows, no ETags, no Link headers.
"""

import os
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Annotated
from uuid import uuid4

import jwt
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import BigInteger, DateTime, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

INSTANT_TYPE = DateTime(timezone=True)


def _now() -> datetime:
    return datetime.now(UTC)


class TaskBase(SQLModel):
    title: str = Field(min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=16_384)
    completed: bool = False
    priority: str = Field(default="medium", regex="^(none|low|medium|high|urgent)$")
    due_date: date | None = None
    tags: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))


class Task(TaskBase, table=True):
    __tablename__ = "tasks"
    __table_args__ = {"schema": "bench_idiomatic"}

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    uid: str = Field(default_factory=lambda: str(uuid4()), unique=True)
    user_id: str = Field(index=True)
    status: str = "pending"
    completed_at: datetime | None = Field(default=None, sa_type=INSTANT_TYPE)
    start_date: date | None = None
    deadline: date | None = None
    estimate_minutes: int | None = None
    favorite: bool = False
    project_id: int | None = Field(default=None, sa_type=BigInteger)
    parent_id: int | None = Field(default=None, sa_type=BigInteger)
    position: str = ""
    recurrence: str | None = None
    recurrence_from: str = "due"
    series_id: int | None = Field(default=None, sa_type=BigInteger)
    reminders: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    remind_at: datetime | None = Field(default=None, sa_type=INSTANT_TYPE)
    remind_channels: list[int] | None = Field(default=None, sa_type=ARRAY(BigInteger))
    version: int = Field(default=1, sa_type=BigInteger)
    created_at: datetime = Field(default_factory=_now, sa_type=INSTANT_TYPE)
    updated_at: datetime = Field(default_factory=_now, sa_type=INSTANT_TYPE)


class TaskCreate(TaskBase):
    pass


class TaskRead(TaskBase):
    id: int
    uid: str
    user_id: str
    status: str
    completed_at: datetime | None
    start_date: date | None
    deadline: date | None
    estimate_minutes: int | None
    favorite: bool
    project_id: int | None
    parent_id: int | None
    position: str
    recurrence: str | None
    recurrence_from: str
    series_id: int | None
    reminders: list[str]
    remind_at: datetime | None
    remind_channels: list[int] | None
    version: int
    created_at: datetime
    updated_at: datetime


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(request.app.state.engine) as session:
        yield session


async def get_current_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    try:
        claims = jwt.decode(credentials.credentials, os.environ["JWT_SECRET"], algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "Could not validate credentials") from None
    subject: str = claims["sub"]
    return subject


async def verify_owner(user_id: str, current_user: Annotated[str, Depends(get_current_user)]) -> str:
    if user_id != current_user:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Not your tasks")
    return user_id


SessionDep = Annotated[AsyncSession, Depends(get_session)]
OwnerDep = Annotated[str, Depends(verify_owner)]
router = APIRouter(prefix="/api/{user_id}/tasks", tags=["tasks"])


async def _own_task(session: AsyncSession, owner: str, task_id: int) -> Task:
    task = await session.get(Task, task_id)
    if task is None or task.user_id != owner:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "Task not found")
    return task


@router.get("", response_model=list[TaskRead])
async def list_tasks(
    session: SessionDep, owner: OwnerDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100, offset: int = 0
) -> list[Task]:
    statement = select(Task).where(Task.user_id == owner).order_by(col(Task.created_at).desc(), col(Task.id).desc())
    return list((await session.exec(statement.offset(offset).limit(limit))).all())


@router.post("", response_model=TaskRead, status_code=status.HTTP_201_CREATED)
async def create_task(session: SessionDep, owner: OwnerDep, data: TaskCreate) -> Task:
    task = Task.model_validate(data, update={"user_id": owner})
    session.add(task)
    await session.commit()
    await session.refresh(task)
    return task


@router.get("/{task_id}", response_model=TaskRead)
async def get_task(session: SessionDep, owner: OwnerDep, task_id: int) -> Task:
    return await _own_task(session, owner, task_id)


@router.patch("/{task_id}/complete", response_model=TaskRead)
async def complete_task(session: SessionDep, owner: OwnerDep, task_id: int) -> Task:
    task = await _own_task(session, owner, task_id)
    task.completed = not task.completed
    task.status = "completed" if task.completed else "pending"
    task.completed_at = _now() if task.completed else None
    task.updated_at = _now()
    task.version += 1
    session.add(task)
    await session.commit()
    await session.refresh(task)
    return task


def create_app() -> FastAPI:
    app = FastAPI()
    url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1)
    app.state.engine = create_async_engine(url, pool_size=int(os.environ["POOL_SIZE"]), max_overflow=0)
    app.include_router(router)
    return app
