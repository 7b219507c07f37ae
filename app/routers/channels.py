"""``/api/{user_id}/channels``: parameters in, one service call, status out."""

from typing import Any

from fastapi import APIRouter, Request, Response, Security

from app.http.dependencies import ChannelId, IfMatch, Owner, ReadSession, WriteSession, bearer
from app.http.entity_responses import ENTITY_RESPONSE, created_response, entity_response, location_header
from app.http.etags import expected_versions
from app.http.responses import Json
from app.http.routing import DirectRoute
from app.jobs import channels
from app.models.channels import ChannelDelivery, ChannelKindRead, ChannelRead
from app.schemas.channels import ChannelCreate, ChannelUpdate
from app.services.channels import create_update, outcomes

router = APIRouter(
    prefix="/api/{user_id}/channels", tags=["channels"], route_class=DirectRoute, dependencies=[Security(bearer)]
)

CHANNEL_CREATED: dict[str, Any] = {"headers": ENTITY_RESPONSE["headers"] | location_header("channel")}
NAME_TAKEN = {"description": "Another channel has this name."}


@router.get("", response_model=list[ChannelRead])
async def list_channels(owner: Owner, session: ReadSession) -> Response:
    """Returns all channels, by name."""
    return Json(await create_update.list_channels(session, owner))


@router.post(
    "",
    status_code=201,
    response_model=ChannelRead,
    responses={
        200: {
            **ENTITY_RESPONSE,
            "model": ChannelRead,
            "description": "The browser's subscription has this channel, which was changed.",
        },
        201: CHANNEL_CREATED,
        409: {"description": "A channel has this name, or there are 50 channels."},
    },
)
async def create_channel(request: Request, owner: Owner, session: WriteSession, channel: ChannelCreate) -> Response:
    """Creates a channel: reminders are sent there from now on. Its secrets are stored and never returned.

    A browser that subscribes again gets its channel back, with 200.
    """
    policy = request.app.state.outbound_policy
    row, created = await create_update.create_channel(session, owner, channel, policy=policy)
    return created_response(request, row) if created else entity_response(row)


@router.get("/kinds", response_model=list[ChannelKindRead])
async def list_channel_kinds(request: Request, owner: Owner) -> Response:
    """Returns each kind of channel, and what is missing where it cannot be used: a mail server, a confirmed address."""
    return Json(await request.app.state.channel_sender.describe_kinds(owner))


@router.get("/{channel_id}", response_model=ChannelRead, responses={200: ENTITY_RESPONSE})
async def get_channel(owner: Owner, session: ReadSession, channel_id: ChannelId) -> Response:
    """Returns one channel."""
    return entity_response(await create_update.get_channel(session, owner, channel_id))


@router.patch("/{channel_id}", response_model=ChannelRead, responses={200: ENTITY_RESPONSE, 409: NAME_TAKEN})
async def update_channel(
    request: Request,
    owner: Owner,
    session: WriteSession,
    channel_id: ChannelId,
    change: ChannelUpdate,
    if_match: IfMatch = None,
) -> Response:
    """Changes what is sent. A new secret also enables a channel that was disabled because the old one failed."""
    policy, versions = request.app.state.outbound_policy, expected_versions(if_match)
    row = await create_update.update_channel(session, owner, channel_id, change, versions=versions, policy=policy)
    return entity_response(row)


@router.delete("/{channel_id}", status_code=204, response_class=Response)
async def delete_channel(
    owner: Owner, session: WriteSession, channel_id: ChannelId, if_match: IfMatch = None
) -> Response:
    """Deletes the channel: nothing more is sent there. Undo brings it back with its secrets."""
    await create_update.delete_channel(session, owner, channel_id, versions=expected_versions(if_match))
    return Response(status_code=204)


@router.post("/{channel_id}/test", response_model=ChannelDelivery)
async def test_channel(request: Request, owner: Owner, session: WriteSession, channel_id: ChannelId) -> Response:
    """Sends a test now, also to a channel that is switched off, and returns what came back.

    The status is 200 whether it arrived or not: `outcome`, `status` and `error` say it.
    """
    return Json(await channels.test_channel(session, request.app.state.channel_sender, owner, channel_id))


@router.get("/{channel_id}/deliveries", response_model=list[ChannelDelivery])
async def list_channel_deliveries(owner: Owner, session: ReadSession, channel_id: ChannelId) -> Response:
    """Returns the latest 100 messages with the result of the latest attempt to send each, latest first."""
    return Json(await outcomes.list_deliveries(session, owner, channel_id))
