"""Load on a running server: what to send, sending it, and what came of it.

plan      what to run: so many callers, or so many requests a second
http_line one caller's connection
driver    runs it
runs      what the driver saw
summary   what it amounts to
batches   what the container's own log adds
record    everything one benchmark measured, as JSON
verdicts  which of the aims were met
report    tables
plots     pictures
sides     the servers that are measured, as processes
turns     all loads on all servers, one at a time
"""
