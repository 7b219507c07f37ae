"""Errors of channels."""

from app.errors.kinds import AppError, Conflict, ErrorKind, Invalid, NotFound


class ChannelNotFound(NotFound):
    code, message = "channel_not_found", "Channel not found"


class ChannelNameTaken(Conflict):
    code, message = "channel_name_taken", "There is a channel with this name already."


class TooManyChannels(Conflict):
    code, message = "too_many_channels", "This user has the maximum number of channels."


class TooManyTests(AppError):
    kind, code = ErrorKind.RATE_LIMITED, "too_many_tests"
    message = "Too many tests of this user are being sent already: wait until one of them is done."


class ChannelFieldNeeded(Invalid):
    code, message = "channel_field_needed", "This kind of channel needs this field."


class ChannelFieldRefused(Invalid):
    code, message = "channel_field_refused", "This kind of channel has no such field."


class QuietHoursIncomplete(Invalid):
    code, message = "quiet_hours_incomplete", "Quiet hours have a beginning and another end: quiet_from and quiet_to."


class SubscriptionInvalid(Invalid):
    code, message = "subscription_invalid", "The keys of the subscription are not those of a browser."
