"""What `train_demo_model.py` joins: phrases, speech, tokenizer, windows, network, training, export."""
