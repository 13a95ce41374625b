"""Chains of callbacks on Deferreds."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults

from ..request import PATH, RESULT, WIDTH, new_file, new_version


def adapt(database):
    ask = database.query

    def query(transaction, statement, parameters):
        deferred = Deferred()

        def called_back(error, value):
            if error is None:
                deferred.callback(value)
            else:
                deferred.errback(error)

        ask(transaction, statement, parameters, called_back)
        return deferred

    return query


def doxbee(query, score):
    roll_back = score.roll_back
    completed, failed = score.completed, score.failed

    def upload(transaction, path):
        blob = file = version = None

        def find(result):
            nonlocal blob
            blob = result
            return query(transaction, "select file", path)

        def insert_version(result):
            nonlocal file, version
            file = result
            version = new_version(blob, file)
            return query(transaction, "insert version", version)

        def insert_file(_):
            if file is not None:
                return None
            new = new_file(path, version)
            return query(transaction, "create query", path).addCallback(
                lambda insertion: query(transaction, insertion, new)
            )

        def bind(_):
            return query(transaction, "insert file version", version)

        def update_file(_):
            return query(transaction, "update file", version)

        def commit(_):
            return query(transaction, "commit", None)

        def back_off(failure):
            roll_back(transaction)
            return failure

        return (
            query(transaction, "put blob", path)
            .addCallback(find)
            .addCallback(insert_version)
            .addCallback(insert_file)
            .addCallback(bind)
            .addCallback(update_file)
            .addCallback(commit)
            .addCallbacks(lambda _: version["id"], back_off)
        )

    return lambda transaction: upload(transaction, PATH).addCallbacks(completed, failed)


def parallel(query, score):
    roll_back = score.roll_back
    completed, failed = score.completed, score.failed

    def insert(transaction):
        def back_off(failure):
            roll_back(transaction)
            return failure

        return (
            gatherResults(
                [query(transaction, "insert file version", index) for index in range(WIDTH)],
                consumeErrors=True,
            )
            .addCallback(lambda _: query(transaction, "commit", None))
            .addCallbacks(lambda _: RESULT, back_off)
        )

    return lambda transaction: insert(transaction).addCallbacks(completed, failed)
