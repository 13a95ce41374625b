"""Chains of promises of the library `promise` on PyPI: written as ours are."""

from __future__ import annotations

from promise import Promise

from .chains import insert_with, started, upload_with


def adapt(database):
    ask = database.query

    def query(transaction, statement, parameters):
        def executor(resolve, reject):
            def called_back(error, value):
                if error is None:
                    resolve(value)
                else:
                    reject(error)

            ask(transaction, statement, parameters, called_back)

        return Promise(executor)

    return query


def doxbee(query, score):
    return started(upload_with(query, query, score), score)


def parallel(query, score):
    return started(insert_with(query, score, Promise.all), score)
