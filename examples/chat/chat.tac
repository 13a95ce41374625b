"""For ``twistd``: ``cd examples && twistd -ny chat/chat.tac``."""

import os

from twisted.application.service import Application
from twisted.internet import reactor

from chat.service import make_chat

application = Application("chat")
make_chat(reactor, os.environ).setServiceParent(application)
