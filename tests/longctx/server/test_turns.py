"""The queue of a model."""

from __future__ import annotations

import asyncio

import pytest

from longctx.server.turns import QueueTurn, TooBusy, Turns


def run(test) -> None:
    asyncio.run(asyncio.wait_for(test(), 10))


def test_clients_take_turns_however_much_one_of_them_asks() -> None:
    async def test() -> None:
        turns, order = Turns(1, 10), []

        async def ask(client: str, turn: QueueTurn) -> None:
            await turn.wait()
            order.append(client)
            await asyncio.sleep(0)
            turn.end()

        asked = [("greedy", turns.enter("greedy")) for _ in range(4)]
        asked += [("b", turns.enter("b")), ("c", turns.enter("c"))]
        assert [turn.position for _, turn in asked] == [0, 1, 4, 5, 2, 3]
        await asyncio.gather(*(ask(client, turn) for client, turn in asked))
        assert order == ["greedy", "greedy", "b", "c", "greedy", "greedy"]
        assert (turns.running, turns.waiting) == (0, 0)

    run(test)


def test_one_more_than_may_wait_is_refused_with_a_time() -> None:
    async def test() -> None:
        turns = Turns(2, 1)
        held = [turns.enter(str(number)) for number in range(3)]
        with pytest.raises(TooBusy, match="1 questions are waiting") as refused:
            turns.enter("late")
        assert refused.value.retry_after >= 1
        held[0].end()
        await asyncio.wait_for(held[2].wait(), 1)
        turns.enter("late")

    run(test)


def test_who_goes_while_waiting_is_passed_over() -> None:
    async def test() -> None:
        turns = Turns(1, 10)
        first, second, third = (turns.enter(name) for name in "abc")
        waiting = asyncio.create_task(second.wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        second.end()
        first.end()
        first.end()
        await asyncio.wait_for(third.wait(), 1)
        assert (turns.running, turns.waiting) == (1, 0)

    run(test)
