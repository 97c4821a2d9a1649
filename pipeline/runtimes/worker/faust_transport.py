"""Faust's transport, reading committed records: by itself Faust does so only where its own transactions are on."""

from __future__ import annotations

from typing import Any, ClassVar

from faust.transport.drivers import aiokafka


class _CommittedThread(aiokafka.AIOKafkaConsumerThread):  # type: ignore[misc]  # faust has no types here
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001 -- Faust passes its own value to the constructor
        return consumer


class _CommittedConsumer(aiokafka.Consumer):  # type: ignore[misc]  # faust has no types here
    def _new_consumer_thread(self) -> _CommittedThread:
        return _CommittedThread(self, loop=self.loop, beacon=self.beacon)


class CommittedTransport(aiokafka.Transport):  # type: ignore[misc]  # faust has no types here
    """Faust's transport with a consumer that sees what a `read_committed` reader sees."""

    Consumer: ClassVar[type] = _CommittedConsumer
