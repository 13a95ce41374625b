"""A service that says in which language a text is, by a Keras model."""
