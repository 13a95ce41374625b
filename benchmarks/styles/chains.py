"""Chains of promises: ours, and whatever else has `then`."""

from __future__ import annotations

from twpromise import Promise

from ..request import PATH, RESULT, WIDTH, new_file, new_version


def adapt(database):
    return Promise.promisify(database.query)


def upload_with(query, first_query, score):
    """The upload; *first_query* gives a promise also where the others give Deferreds."""
    roll_back = score.roll_back

    def upload(transaction, path=PATH):
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
            return first_query(transaction, "create query", path).then(
                lambda insertion: query(transaction, insertion, new)
            )

        def bind(_):
            return query(transaction, "insert file version", version)

        def update_file(_):
            return query(transaction, "update file", version)

        def commit(_):
            return query(transaction, "commit", None)

        def back_off(error):
            roll_back(transaction)
            raise error

        return (
            first_query(transaction, "put blob", path)
            .then(find)
            .then(insert_version)
            .then(insert_file)
            .then(bind)
            .then(update_file)
            .then(commit)
            .then(lambda _: version["id"], back_off)
        )

    return upload


def insert_with(query, score, gather):
    roll_back = score.roll_back

    def insert(transaction):
        def back_off(error):
            roll_back(transaction)
            raise error

        return (
            gather([query(transaction, "insert file version", index) for index in range(WIDTH)])
            .then(lambda _: query(transaction, "commit", None))
            .then(lambda _: RESULT, back_off)
        )

    return insert


def started(function, score):
    completed, failed = score.completed, score.failed
    return lambda transaction: function(transaction).then(completed, failed)


def doxbee(query, score):
    return started(upload_with(query, query, score), score)


def parallel(query, score):
    return started(insert_with(query, score, Promise.all), score)


def doxbee_over_deferreds(query, score):
    from_deferred = Promise.from_deferred

    def first_query(transaction, statement, parameters):
        return from_deferred(query(transaction, statement, parameters))

    return started(upload_with(query, first_query, score), score)
