"""One's own account: changing the password.

What belongs here: the page. What does not: what a password must be like (`users`).
"""

from starlette.responses import Response

from repayment_platform.web.operations import sessions, users
from repayment_platform.web.operations.admin import Screen, Visit, page
from repayment_platform.web.operations.auth import TOO_MANY, address_of, set_session
from repayment_platform.web.operations.login_limit import LoginLimit
from repayment_platform.web.operations.users import BadUser, Role


class Account(Screen):
    """Not in the menu: the name in the head of each page leads here."""

    menu_label = "Password"
    path = "/account"
    add_to_menu = False

    def __init__(self) -> None:
        super().__init__()
        self._limit = LoginLimit()

    @page("/password", Role.VIEWER)
    def ask(self, visit: Visit) -> Response:
        """The form to change one's own password."""
        return self._form(visit, status=200)

    @page("/password", Role.VIEWER, "POST")
    def change(self, visit: Visit) -> Response:
        """Change it; every other session of the user ends."""
        old, new = str(visit.form.get("old")), str(visit.form.get("new"))
        name = visit.user.username
        # A session left open on a desk is not to be a place to guess the password at.
        if not self._limit.allows(name, address_of(visit.request), lambda: True):
            return self._form(visit, TOO_MANY, 429)
        if not users.verify(visit.connection, name, old):
            return self._form(visit, "The old password is not right.")
        self._limit.succeeded(name, address_of(visit.request))
        if new != str(visit.form.get("again")):
            return self._form(visit, "The two new passwords differ.")
        if new == old:
            return self._form(visit, "The new password is the old one.")
        try:
            with visit.connection.transaction():
                users.set_password(visit.connection, name, new, by=name)
                token = sessions.start(visit.connection, name)
        except BadUser as error:
            return self._form(visit, f"Not changed: {error}.")
        visit.tell("Your password is changed. All your other sessions have ended.")
        response = visit.go("/")
        set_session(visit.request, response, token)
        return response

    def _form(self, visit: Visit, problem: str = "", status: int = 422) -> Response:
        shortest = users.SHORTEST_PASSWORD
        return self.show(visit, "password.html", status, problem=problem, shortest=shortest)
