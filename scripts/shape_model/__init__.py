"""What `make_shape_model.py` joins: sizes, vocabulary, chains of tokens, weights, and the folder that holds them."""
