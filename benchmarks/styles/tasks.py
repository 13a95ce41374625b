"""asyncio: tasks that await futures; also what runs on uvloop."""

from __future__ import annotations

import asyncio

from .awaiting import insert_with, upload_with


def adapt(database):
    ask = database.query
    new_future = asyncio.get_running_loop().create_future

    def query(transaction, statement, parameters):
        future = new_future()

        def called_back(error, value):
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        ask(transaction, statement, parameters, called_back)
        return future

    return query


def _driven(function, score):
    create_task = asyncio.get_running_loop().create_task
    running = set()

    def ended(task):
        running.discard(task)
        error = task.exception()
        score.done(error, None if error else task.result())

    def start(transaction):
        # The loop itself keeps tasks by weak references only.
        task = create_task(function(transaction))
        running.add(task)
        task.add_done_callback(ended)

    return start


def doxbee(query, score):
    return _driven(upload_with(query, score), score)


def parallel(query, score):
    return _driven(insert_with(query, score, lambda futures: asyncio.gather(*futures)), score)
