"""``python -m bench``: what a request costs here, beside hand-written code and beside the usual way."""
