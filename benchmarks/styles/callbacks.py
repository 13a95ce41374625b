"""Callbacks, and nothing else."""

from __future__ import annotations

from ..request import PATH, RESULT, WIDTH, new_file, new_version


def adapt(database):
    return database.query


def doxbee(query, score):
    roll_back = score.roll_back
    done = score.done

    def upload(transaction, path, done):
        def back_off(error):
            roll_back(transaction)
            done(error, None)

        def has_put(error, blob):
            if error is not None:
                back_off(error)
                return

            def has_found(error, file):
                if error is not None:
                    back_off(error)
                    return
                version = new_version(blob, file)

                def has_inserted_version(error, _):
                    if error is not None:
                        back_off(error)
                        return

                    def has_file(error, _):
                        if error is not None:
                            back_off(error)
                            return

                        def has_bound(error, _):
                            if error is not None:
                                back_off(error)
                                return

                            def has_updated(error, _):
                                if error is not None:
                                    back_off(error)
                                    return

                                def has_committed(error, _):
                                    if error is not None:
                                        back_off(error)
                                        return
                                    done(None, version["id"])

                                query(transaction, "commit", None, has_committed)

                            query(transaction, "update file", version, has_updated)

                        query(transaction, "insert file version", version, has_bound)

                    if file is not None:
                        has_file(None, None)
                        return
                    new = new_file(path, version)

                    def has_created(error, insertion):
                        if error is not None:
                            back_off(error)
                            return
                        query(transaction, insertion, new, has_file)

                    query(transaction, "create query", path, has_created)

                query(transaction, "insert version", version, has_inserted_version)

            query(transaction, "select file", path, has_found)

        query(transaction, "put blob", path, has_put)

    return lambda transaction: upload(transaction, PATH, done)


def parallel(query, score):
    roll_back = score.roll_back
    done = score.done

    def insert(transaction, done):
        left = WIDTH

        def has_inserted(error, _):
            nonlocal left
            if error is not None:
                if left > 0:
                    left = 0
                    roll_back(transaction)
                    done(error, None)
                return
            left -= 1
            if left == 0:
                query(transaction, "commit", None, has_committed)

        def has_committed(error, _):
            if error is not None:
                roll_back(transaction)
                done(error, None)
                return
            done(None, RESULT)

        for index in range(WIDTH):
            query(transaction, "insert file version", index, has_inserted)

    return lambda transaction: insert(transaction, done)
