"""Serves a Keras model over HTTP: ``python app.py 8080``."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy
from klein import Klein
from twisted.internet import reactor
from twisted.python.log import startLogging
from twisted.web.server import Site

import twpromise
from twpromise import Limiter, LimitExceeded, Promise, batch

twpromise.install()
# This model adds four numbers.  Yours: keras.saving.load_model("yours.keras").
model = keras.Sequential([keras.Input([4]), keras.layers.Dense(1, kernel_initializer="ones")])
thread = ThreadPoolExecutor(1)


def predict(rows):  # Called in the thread.
    return model.predict_on_batch(numpy.array(rows, "float32"))[:, 0].tolist()


predict_one = batch(lambda rows: Promise.run_in(thread, predict, rows), size=64, wait=0.002)
predict_or_refuse = Limiter(1000, waiting=0)(predict_one)


class WrongRequest(Exception):
    pass


def row_of(body):
    try:
        row = json.loads(body)
        if len(row) == 4 and all(type(n) in (int, float) and abs(n) < 1e30 for n in row):
            return row
    except (ValueError, TypeError, RecursionError):
        pass
    raise WrongRequest("the body must be four numbers, as in [1, 2, 3, 4.5]")


app = Klein()
STATUS = {WrongRequest: 400, LimitExceeded: 503, TimeoutError: 504}


@app.route("/predict", methods=["POST"])
async def answer(request):
    return json.dumps(await predict_or_refuse(row_of(request.content.read())).timeout(1))


@app.handle_errors(*STATUS)
def failed(request, failure):
    request.setResponseCode(STATUS[failure.check(*STATUS)])
    return json.dumps({"error": failure.getErrorMessage()})


if __name__ == "__main__":
    for count in (1, 2):  # The first calls are slow: they make graphs.
        predict([[0, 0, 0, 0]] * count)
    startLogging(sys.stdout)
    reactor.listenTCP(int(sys.argv[1]), Site(app.resource()), interface="127.0.0.1")
    reactor.run()
