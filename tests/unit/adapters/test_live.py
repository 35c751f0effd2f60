"""Live lines: whoever looks on holds nobody up."""

from __future__ import annotations

from itertools import count

from proctor_operator.adapters.live import BUFFER_BYTES, LiveLog
from proctor_operator.domain.log import LogSource
from proctor_operator.domain.naming import Uid

RUN = Uid("run")
SOURCE = LogSource(Uid("pod"), "proc")


async def test_an_onlooker_sees_what_is_printed_from_then_on_to_the_end() -> None:
    live = LiveLog()
    live.publish(RUN, SOURCE, [b"before"])
    with live.follow(RUN) as batches:
        live.publish(RUN, SOURCE, [b"one", b"two"])
        live.publish(Uid("another run"), SOURCE, [b"of others"])
        live.publish(RUN, SOURCE, [b"three"])
        live.end(RUN)

        seen = [line async for batch in batches for line in batch.lines]

    assert seen == [b"one", b"two", b"three"]


async def test_a_slow_onlooker_loses_the_oldest_lines_and_is_told_how_many() -> None:
    live = LiveLog()
    line = b"x" * 1024
    with live.follow(RUN) as slow:
        for _ in range(2 * BUFFER_BYTES // 1024):
            live.publish(RUN, SOURCE, [line])
        live.end(RUN)

        batches = [batch async for batch in slow]

    kept = sum(len(batch.lines) for batch in batches)
    assert kept * 1024 <= BUFFER_BYTES
    assert batches[0].lost + kept == 2 * BUFFER_BYTES // 1024
    assert all(batch.lost == 0 for batch in batches[1:])


async def test_onlookers_do_not_disturb_each_other() -> None:
    live = LiveLog()
    with live.follow(RUN) as one, live.follow(RUN) as other:
        live.publish(RUN, SOURCE, [b"line"])
        live.end(RUN)

        assert [batch.lines async for batch in one] == [(b"line",)]
        assert [batch.lines async for batch in other] == [(b"line",)]


async def test_who_waits_is_woken() -> None:
    live = LiveLog()
    numbers = count()
    with live.follow(RUN) as batches:
        live.publish(RUN, SOURCE, [b"first"])
        async for batch in batches:
            assert batch.lines
            if next(numbers) < 3:
                live.publish(RUN, SOURCE, [b"next"])
            else:
                live.end(RUN)

    assert next(numbers) == 4
