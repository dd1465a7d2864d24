"""What `make_parakeet_model.py` is made of."""
