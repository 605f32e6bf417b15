"""Kendall's tau-a under weights: concordant minus discordant pairs of pairs, counted in O(n log n) by a Fenwick tree.

Compiled with numba: the count is a chain of table look-ups that no array operation expresses.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["tau_a_of_draws"]


@njit(cache=True, nogil=True)
def tau_a_of_draws(weights, x_ranks, x_order, y_ranks, y_order, paired):  # pragma: no cover - compiled
    """Kendall's tau-a of weighted values.

    Parameters
    ----------
    weights : array of shape (n_draws, n_values), float64
        Whole numbers: how often each value was drawn. Copies of a value tie with one another.
    x_ranks, x_order : integer arrays of shape (n_x, n_values)
        Dense ranks from 0, and the sort, of each left row.
    y_ranks, y_order : integer arrays of shape (n_y, n_values), or (n_draws, n_values) where paired
        The same of each right row.
    paired : bool
        Draw d is compared with right row d only.

    Returns
    -------
    array of shape (n_draws, n_x, n_y), last axis 1 where paired; NaN where a side is constant over what was drawn.
    """
    n_draws, n_values = weights.shape
    n_right = 1 if paired else y_ranks.shape[0]
    result = np.full((n_draws, x_ranks.shape[0], n_right), np.nan)
    chosen = np.empty(n_values, np.int64)
    y_dense = np.empty(n_values, np.int64)
    tree = np.empty(n_values + 1, np.float64)
    level = np.empty(n_values, np.float64)
    for d in range(n_draws):
        total = 0.0
        for p in range(n_values):
            total += weights[d, p]
        for m in range(x_ranks.shape[0]):
            n_chosen = 0
            for k in range(n_values):
                p = x_order[m, k]
                if weights[d, p] > 0:
                    chosen[n_chosen] = p
                    n_chosen += 1
            if n_chosen == 0 or x_ranks[m, chosen[0]] == x_ranks[m, chosen[n_chosen - 1]]:
                continue
            for r in range(n_right):
                row = d if paired else r
                # Ranks among the drawn values only keep the tree small.
                n_levels = 0
                previous = -1
                for k in range(n_values):
                    p = y_order[row, k]
                    if weights[d, p] > 0:
                        if y_ranks[row, p] != previous:
                            n_levels += 1
                            previous = y_ranks[row, p]
                        y_dense[p] = n_levels
                if n_levels < 2:
                    continue
                tree[: n_levels + 1] = 0.0
                level[:n_levels] = 0.0
                inside = 0.0
                balance = 0.0
                start = 0
                while start < n_chosen:
                    end = start
                    while end < n_chosen and x_ranks[m, chosen[end]] == x_ranks[m, chosen[start]]:
                        p = chosen[end]
                        below = 0.0
                        k = y_dense[p] - 1
                        while k > 0:
                            below += tree[k]
                            k -= k & -k
                        balance += weights[d, p] * (2 * below + level[y_dense[p] - 1] - inside)
                        end += 1
                    for q in range(start, end):
                        p = chosen[q]
                        w = weights[d, p]
                        k = y_dense[p]
                        level[k - 1] += w
                        inside += w
                        while k <= n_levels:
                            tree[k] += w
                            k += k & -k
                    start = end
                result[d, m, r] = balance / (total * (total - 1) / 2)
    return result
