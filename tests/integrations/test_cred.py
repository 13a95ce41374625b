"""`twisted.cred`, with a checker that returns promises: a rejected one lets no user in."""

from __future__ import annotations

import re

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import CancelledError, gatherResults
from twisted.web.guard import BasicCredentialFactory, HTTPAuthSessionWrapper
from twisted.web.resource import IResource
from zope.interface import Interface, implementer

from tests.integrations.local import Local, Page, Pending, Settled


@implementer(IRealm)
class Realm:
    """An avatar for each name: the name, or a page that shows it."""

    def requestAvatar(self, name, mind, *interfaces):
        avatar = Page(lambda _: name) if IResource in interfaces else name
        return interfaces[0], avatar, lambda: None


@implementer(ICredentialsChecker)
class Checker:
    """Has the same promise for each login."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, answer):
        self.requestAvatarId = answer


def refuse():
    raise UnauthorizedLogin


def login(portal):
    return portal.login(UsernamePassword(b"ada", b"secret"), None, Interface)


class Logins:
    """Each question is asked twice."""

    async def portal(self, check):
        return Portal(Realm(), [Checker(await self.answers(check))])

    async def test_the_right_password_is_accepted_each_time(self):
        """Two logins that get the same promise both get the avatar."""
        portal = await self.portal(lambda: b"ada")
        logins = await gatherResults([login(portal), login(portal)])
        assert [b"ada", b"ada"] == [avatar for _, avatar, _ in logins]

    async def test_a_wrong_password_is_refused_each_time(self):
        """Two logins that get the same promise are both refused, and a third that comes later."""
        portal = await self.portal(refuse)
        for refused in login(portal), login(portal):
            await self.assertFailure(refused, UnauthorizedLogin)
        await self.assertFailure(login(portal), UnauthorizedLogin)

    async def test_basic_authentication(self):
        """So it is where a browser sends the password."""
        for check, answer in (lambda: b"ada", (200, "ada")), (refuse, (401, "Unauthorized")):
            door = HTTPAuthSessionWrapper(await self.portal(check), [BasicCredentialFactory("x")])
            url = self.serve_web(door)
            for _ in range(2):
                assert answer == await self.get(url, auth=("ada", "secret"))


class TestSettled(Logins, Settled, Local):
    """The checker knows the answer already."""


class TestPending(Logins, Pending, Local):
    """The checker has to find out."""

    async def test_a_login_that_is_given_up_leaves_the_other_alone(self):
        """Cancelling one login does not cancel the promise that another login waits for."""
        portal = await self.portal(lambda: b"ada")
        given_up, other = login(portal), login(portal)
        given_up.cancel()
        await self.assertFailure(given_up, CancelledError)
        assert b"ada" == (await other)[1]


def test_without_install_development_mode_warns(run_python):
    """The warning names the function that handed a promise over, and its file."""
    output = run_python("-X", "dev", "-m", "tests.integrations.programs.open_door")
    assert "avatar" in output
    (warning,) = re.findall(r"^.*/open_door.py:\d+: PromiseWarning: .*$", output, re.MULTILINE)
    assert "Checker.requestAvatarId" in warning
