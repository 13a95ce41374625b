"""`twisted.conch`: SSH logins over the loopback; server and client answer with promises."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.avatar import ConchUser
from twisted.conch.checkers import SSHProtocolChecker
from twisted.conch.client.knownhosts import KnownHostsFile
from twisted.conch.endpoints import AuthenticationFailed, SSHCommandClientEndpoint
from twisted.conch.error import ConchError, HostKeyChanged
from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.transport import SSHClientTransport
from twisted.conch.ssh.userauth import SSHUserAuthServer
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from tests.integrations.local import Local, Pending, Settled


class Authentication(SSHUserAuthServer):
    """Does not make those wait who have the wrong password."""

    passwordDelay = 0


class Server(SSHFactory):
    """An SSH server, for one user, that can run commands."""

    services = {b"ssh-userauth": Authentication, b"ssh-connection": SSHConnection}  # noqa: RUF012
    noisy = False

    def __init__(self, check_password, start_command):
        key = Key(Ed25519PrivateKey.generate())
        self.privateKeys = self.publicKeys = {key.sshType(): key}
        checker = SSHProtocolChecker()
        checker.registerChecker(Checker(check_password))
        self.portal = Portal(Realm(start_command), [checker])


@implementer(ICredentialsChecker)
class Checker:
    """Has the same promise for each login."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, check_password):
        self.requestAvatarId = check_password


@implementer(IRealm)
class Realm:
    """Users whose commands are started by a function."""

    def __init__(self, start_command):
        class Session(SSHChannel):
            request_exec = staticmethod(start_command)

        self.session = Session

    def requestAvatar(self, name, mind, *interfaces):
        avatar = ConchUser()
        avatar.channelLookup[b"session"] = self.session
        return interfaces[0], avatar, lambda: None


class KnownHosts(KnownHostsFile):
    """Has the same promise for each host key."""

    def __init__(self, check_key):
        self.verifyHostKey = check_key


class Transport(SSHClientTransport):
    """A client that checks host keys itself, and does not log in."""

    def __init__(self, check_key):
        self.verifyHostKey = check_key
        self.outcome = Deferred()

    def connectionSecure(self):
        self.outcome.callback("secure")
        self.loseConnection()

    def connectionLost(self, reason):
        if not self.outcome.called:
            self.outcome.callback("lost")


def refuse():
    raise UnauthorizedLogin


def changed():
    raise HostKeyChanged(None, None, 1)


class Logins:
    """Each question is asked twice at once, and again later."""

    async def login(self, *, password=lambda: b"ada", command=lambda: True, key=lambda: True):
        """Logs in and runs a command, twice at once; a function that does it once more."""
        from twisted.internet import reactor

        port = self.serve(Server(await self.answers(password), await self.answers(command)))
        known = KnownHosts(await self.answers(key))

        def once():
            endpoint = SSHCommandClientEndpoint.newConnection(
                reactor, b"ls", b"ada", b"127.0.0.1", port, password=b"x", knownHosts=known, ui=1
            )
            return endpoint.connect(Factory.forProtocol(Protocol))

        return once(), once(), once

    async def refused(self, error, **answers):
        first, second, again = await self.login(**answers)
        for login in first, second, again():
            await self.assertFailure(login, error)

    async def test_logins(self):
        """The password, the host key and the command are accepted each time."""
        for command in await gatherResults((await self.login())[:2]):
            command.transport.loseConnection()

    async def test_a_wrong_password_is_refused_each_time(self):
        """Later users do not get in either."""
        await self.refused(AuthenticationFailed, password=refuse)

    async def test_a_wrong_host_key_is_refused_each_time(self):
        """The client does not send its password to such a host."""
        await self.refused(HostKeyChanged, key=changed)

    async def test_host_keys_that_a_transport_checks(self):
        """A transport's own check of the host key, which adds callbacks to the promise itself."""
        from twisted.internet import reactor

        port = self.serve(Server(refuse, refuse))
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        for check, expected in (lambda: True, "secure"), (changed, "lost"):
            check_key = await self.answers(check)
            for _ in range(2):
                transport = await connectProtocol(endpoint, Transport(check_key))
                assert expected == await transport.outcome

    async def test_a_command_that_cannot_be_started(self):
        """The client sees it each time."""
        await self.refused(ConchError, command=refuse)


class TestSettled(Logins, Settled, Local):
    """The answers are known."""


class TestPending(Logins, Pending, Local):
    """The answers have to be found."""
