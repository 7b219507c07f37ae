"""Errors of batches."""

from app.errors.kinds import AppError, ErrorKind, Invalid


class WriteTooLarge(Invalid):
    code, message = "write_too_large", "All in all this would write more than 10,000 rows: send it in parts."


class BatchTooSlow(AppError):
    """A batch of which the operations take too long together. Another time they may not."""

    kind, code = ErrorKind.TOO_LARGE, "batch_too_slow"
    message = "All in all this takes more than 20 seconds, and nothing was written: send it in parts."


class DeletesOwnRow(Invalid):
    code, message = "deletes_own_row", "It deletes what the same batch has made: leave both out."


def locate_error(error: AppError, number: int) -> AppError:
    """Returns the error with its place in the batch, instead of that in the request which would be alone."""
    place = ("body", "operations", number)
    if error.loc[:2] != place[:2]:
        inside = ("arguments", *error.loc[1:]) if len(error.loc) > 1 else ()
        error.loc = (*place, *inside)
    return error
