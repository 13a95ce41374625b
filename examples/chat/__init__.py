"""A chat service: an example of what a service on promises looks like."""

import twpromise

# An application does this once; a library never does.
twpromise.install()
