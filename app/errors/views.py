"""Errors of saved views."""

from app.errors.kinds import Conflict, Invalid, NotFound


class ViewNotFound(NotFound):
    code, message = "view_not_found", "View not found"


class ViewNameTaken(Conflict):
    code, message = "view_name_taken", "There is a view with this name already."


class TooManyViews(Conflict):
    code, message = "too_many_views", "This user has the maximum number of views."


class OutdatedView(Invalid):
    """Another version of the service saved it, with parameters that this one does not have."""

    code, message = "outdated_view", "A list does not take the parameters of this view: save it again."
