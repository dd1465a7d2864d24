"""What `probe_device.py` joins: a model on its device, its memory, measurements, and the processes that make them."""
