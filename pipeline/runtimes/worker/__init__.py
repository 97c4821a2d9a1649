"""Worker: batches from Kafka through the stages and back in one transaction each, in a process that Faust runs.

`work.py` is what the loop does with a batch, `faust_process.py` the process around the loop. `pipeline/wiring/worker.py` puts
them together with the Kafka source and sink.
"""
