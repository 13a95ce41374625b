"""What happens without `install()`: a wrong password is accepted, with a warning."""

from __future__ import annotations

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from zope.interface import Interface, implementer

from twpromise import Promise
from twpromise.testing import ManualScheduler


@implementer(IRealm)
class Realm:
    def requestAvatar(self, name, mind, *interfaces):
        return interfaces[0], "avatar", lambda: None


@implementer(ICredentialsChecker)
class Checker:
    credentialInterfaces = (IUsernamePassword,)

    def requestAvatarId(self, credentials):
        return Promise.delay(1).then(lambda _: self.refuse())

    def refuse(self):
        raise UnauthorizedLogin


Promise.set_scheduler(ManualScheduler())
portal = Portal(Realm(), [Checker()])
portal.login(UsernamePassword(b"eve", b"wrong"), None, Interface).addCallback(print)
