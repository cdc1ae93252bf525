"""What is kept of a chain: once for all who ask, nothing that failed, and no more than fits."""

import asyncio
import gc
from dataclasses import replace

import pytest
from test_gamma import chain_of, ladder

from services.levels import Kept


@pytest.fixture
def chain():
    return chain_of(ladder())


def counting(answers):
    calls = []

    async def make():
        calls.append(1)
        await asyncio.sleep(0)
        answer = answers[min(len(calls), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return calls, make


async def test_all_who_ask_at_once_and_later_get_one_answer(chain):
    kept, (calls, make) = Kept(4), counting(["picture"])
    assert set(await asyncio.gather(*(kept.get(chain, "what", make) for _ in range(20)))) == {"picture"}
    assert await kept.get(chain, "what", make) == "picture"
    assert len(calls) == 1


async def test_another_question_or_another_chain_is_answered_anew(chain):
    kept, (calls, make) = Kept(4), counting(["first", "second", "third"])
    assert await kept.get(chain, "one", make) == "first"
    assert await kept.get(chain, "two", make) == "second"
    newer = replace(chain)
    assert await kept.get(newer, "one", make) == "third"
    assert await kept.get(newer, "one", make) == "third"
    assert len(calls) == 3


async def test_a_failure_is_told_to_all_and_not_kept(chain):
    kept, (calls, make) = Kept(4), counting([ValueError("no"), "now"])
    found = await asyncio.gather(*(kept.get(chain, "what", make) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in found] == ["no"] * 3
    assert await kept.get(chain, "what", make) == "now"
    assert len(calls) == 2


async def test_one_who_gives_up_does_not_take_it_from_the_others(chain):
    kept, (calls, make) = Kept(4), counting(["picture"])
    first = asyncio.create_task(kept.get(chain, "what", make))
    await asyncio.sleep(0)
    first.cancel()
    assert await kept.get(chain, "what", make) == "picture"
    assert len(calls) == 1


async def test_the_least_used_goes_first(chain):
    kept, (calls, make) = Kept(2), counting(["a", "b", "c", "d"])
    for what in ("one", "two", "one", "three", "one"):
        await kept.get(chain, what, make)
    assert len(calls) == 3
    await kept.get(chain, "two", make)
    assert len(calls) == 4


async def test_chains_are_not_kept_alive():
    kept, (_, make) = Kept(2), counting(["a"])
    chain = chain_of(ladder())
    await kept.get(chain, "what", make)
    ((of, _),) = kept._made
    del chain
    gc.collect()
    assert of() is None
    assert not kept._made, "nor what was made of them"


async def test_chains_of_the_same_symbol_live_beside_each_other(chain):
    """Two members read SPY at their own brokers: each gets the picture of their own chain, drawn once."""
    kept, others = Kept(8), replace(chain)
    drawn = []

    def drawing(of):
        async def make():
            drawn.append(of)
            await asyncio.sleep(0)
            return f"picture of {id(of)}"

        return make

    asked = [chain, others] * 10
    found = await asyncio.gather(*(kept.get(each, "what", drawing(each)) for each in asked))
    assert found == [f"picture of {id(each)}" for each in asked]
    assert len(drawn) == 2
