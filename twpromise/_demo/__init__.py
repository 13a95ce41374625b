"""The main job: a Twisted service and its own client, which do their work with promises.

It uses the public names of the package only, as any service would.
"""
