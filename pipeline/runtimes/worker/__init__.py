"""Worker: batches from Kafka through the stages and back in one transaction each, in a process that Faust runs.

`loop.py` is the order of it; `kafka_source.py` and `kafka_sink.py` are its two ends, `faust_process.py` is what is around it.
"""
