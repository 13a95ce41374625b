"""Tests of the example, and a model for your own.

Those on a fake clock need no network: of functions with pytest (`test_channels`), of protocols and
HTTP with trial (`test_protocol`, `test_connections`, `test_upstream`, `test_api`).  `test_service`
has the real reactor, under trial; `test_program` starts the program as a user does.
"""
