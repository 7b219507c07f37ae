"""``python -m bench``: the cost of a request, compared to hand-written code and to idiomatic FastAPI."""
