"""The model.  Importing this takes seconds: it is done in the thread that the model runs in."""

import math

import keras
import numpy

from .languages import LANGUAGES, TEXTS, WIDTH, features


class NoAnswer(Exception):
    """The model has no answer for one of the texts."""


# begin: model
class Model:
    """Made, and called, in one thread only."""

    def __init__(self):
        self._model = trained()
        # Keras makes a graph for the first number of rows, and one for any number at the second.
        for rows in (1, 2):
            self.predict([features("warm up")] * rows)

    def predict(self, rows):
        """A result, or an exception, for each row."""
        answers = self._model.predict_on_batch(numpy.array(rows, "float32"))
        return [result(answer) for answer in answers.tolist()]


def result(answer):
    if not all(map(math.isfinite, answer)):
        return NoAnswer("the model gives no probabilities for this text")
    probability = max(answer)
    return {"language": LANGUAGES[answer.index(probability)], "probability": probability}


# end: model


def trained():
    """Yours would be loaded: ``keras.saving.load_model("yours.keras")``."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input([WIDTH]),
            keras.layers.Dense(WIDTH, activation="relu"),
            keras.layers.Dense(WIDTH, activation="relu"),
            keras.layers.Dense(len(LANGUAGES), activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    pieces = [
        (features(" ".join(words[start : start + 5])), number)
        for number, language in enumerate(LANGUAGES)
        for words in [TEXTS[language].split()]
        for start in range(len(words) - 4)
    ]
    rows, numbers = zip(*pieces, strict=True)
    model.fit(numpy.array(rows, "float32"), numpy.array(numbers), epochs=3, verbose=0)
    return model
