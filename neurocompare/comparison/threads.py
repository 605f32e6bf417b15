"""Independent pieces of NumPy work on several cores: one thread each, in place of threads inside every matrix product.

The products of tiles that fit a processor's cache are too small to be shared among threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_info, threadpool_limits

__all__ = ["in_threads"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Results for all items, in order.

    Parameters
    ----------
    function : callable
        Independent of the other items and of any random state.
    items : iterable
        What the function is called with.

    Returns
    -------
    list
        Computed on as many threads as matrix products may use now (one in each worker of a study).
    """
    n_threads = max((one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"), default=1)
    with threadpool_limits(1, user_api="blas"):
        if n_threads == 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(n_threads) as pool:
            return list(pool.map(function, items))
