"""A queueing model of model servers behind one address, by which documents go to a server by a hash or to any server.

    python benchmarks/model_servers.py [--servers 2 8 32] [--load .6]

A server reads one prompt after another, at a rate; what its prefix cache holds of a document is not read again.
Questions come at random (Poisson) about documents at random (Zipf). The first lines check the model against the two
vLLM servers in results/2026-11-29-vllm.md: 8 documents, each asked about twice. Nothing is measured here.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections import Counter, OrderedDict
from itertools import accumulate
from statistics import quantiles

TOKENS, QUESTION, BLOCK = 7_242, 50, 16  # of a prompt, of them behind the document; of a block of vLLM's cache
PAIR = 8  # documents of the measured pair


def cached(tokens: int) -> int:
    """The tokens that a server has after the first question about a document: whole blocks of what is alike."""
    return (tokens - QUESTION) // BLOCK * BLOCK


def busier_share(documents: int, servers: int) -> Counter[int]:
    """In how many of 10,000 ways of hashing the busiest server has so many documents."""
    chance = random.Random(0)
    return Counter(max(Counter(chance.choices(range(servers), k=documents)).values()) for _ in range(10_000))


def simulate(
    servers: int, documents: int, held: int, load: float, by_hash: bool, questions: int = 40_000
) -> list[float]:
    """The tokens found in caches and the load of the busiest server, as shares, and the time to the first token.

    The time is in units of one prompt that is read in full: its median and 99th percentile.
    """
    chance = random.Random(1)
    home = [chance.randrange(servers) for _ in range(documents)]
    weights = [*accumulate(1 / (rank + 1) for rank in range(documents))]
    caches: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(servers)]
    free, busy = [0.0] * servers, [0.0] * servers
    line = [(0.0, each) for each in range(servers)]  # by when they are free, for the least busy one
    now, found, waits = 0.0, 0, []
    for document in chance.choices(range(documents), cum_weights=weights, k=questions):
        now += chance.expovariate(load * servers)
        if by_hash:
            server = home[document]
        else:
            _, server = heapq.heappop(line)
        cache = caches[server]
        has = cached(TOKENS) if document in cache else 0
        cache[document] = None
        cache.move_to_end(document)
        if len(cache) > held:
            cache.popitem(last=False)
        reading = (TOKENS - has) / TOKENS
        free[server] = max(free[server], now) + reading
        busy[server] += reading
        found += has
        waits.append(free[server] - now)
        if not by_hash:
            heapq.heappush(line, (free[server], server))
    cuts = quantiles(waits, n=100)
    return [found / TOKENS / questions, max(busy) / now, cuts[49], cuts[98]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--load", type=float, default=0.6, help="questions, as a share of what is read without a cache")
    arguments = parser.parse_args()
    shares = busier_share(PAIR, 2)
    print(f"the pair: {cached(TOKENS) / TOKENS:.1%} of a second prompt is cached (measured: 99.2 %)")
    likely = sum(count for most, count in shares.items() if most >= 7) / sum(shares.values())
    print(f"the pair: 7 of {PAIR} documents on one server (measured: 87 %) or more in {likely:.1%} of all hashings")
    mean = sum(most * count for most, count in shares.items()) / sum(shares.values()) / PAIR
    print(f"the pair: on average the busier server has {mean:.0%}\n")
    print(f"{'servers':>8}{'documents':>11}{'held each':>11}  {'by':<6}{'cached':>8}{'busiest':>9}{'p50':>8}{'p99':>8}")
    for servers in arguments.servers:
        for documents, held in ((servers * 8, 16), (servers * 200, 16)):
            for by_hash in (True, False):
                share, most, p50, p99 = simulate(servers, documents, held, arguments.load, by_hash)
                how = "hash" if by_hash else "any"
                late = f"{p99:>8.2f}" if math.isfinite(p99) else f"{'':>8}"
                print(f"{servers:>8}{documents:>11,}{held:>11}  {how:<6}{share:>8.1%}{most:>9.2f}{p50:>8.3f}{late}")


if __name__ == "__main__":
    main()
