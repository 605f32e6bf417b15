"""Rank correlations under weights: Spearman's rho, its tie-free form rho-a, and Kendall's tau-a.

Compiled with numba: weighted ranks are cumulative sums along a sort, and concordant pairs are counted with a Fenwick
tree. The same in NumPy takes seven times as long.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["rho_of_draws", "tau_a_of_draws"]


@njit(cache=True, nogil=True)
def rho_of_draws(weights, x_ranks, x_order, y_ranks, y_order, paired, tie_free):  # pragma: no cover - compiled
    """Spearman's rho of weighted values.

    Parameters
    ----------
    weights, x_ranks, x_order, y_ranks, y_order, paired
        As in :func:`tau_a_of_draws`.
    tie_free : bool
        Divide by the spread of ranks without ties, (n^3 - n) / 12: rho-a, the expectation over random tie breaking.

    Returns
    -------
    array of shape (n_draws, n_x, n_y), last axis 1 where paired; NaN where a side is constant over what was drawn.
    """
    n_draws, n_values = weights.shape
    n_left, n_right = x_ranks.shape[0], 1 if paired else y_ranks.shape[0]
    result = np.full((n_draws, n_left, n_right), np.nan)
    left = np.empty((n_left, n_values))
    right = np.empty((n_right, n_values))
    left_squares = np.empty(n_left)
    right_squares = np.empty(n_right)
    for d in range(n_draws):
        weight = weights[d]
        total = 0.0
        for p in range(n_values):
            total += weight[p]
        for m in range(n_left):
            left_squares[m] = _twice_centred_ranks(weight, total, x_ranks[m], x_order[m], left[m])
        for r in range(n_right):
            row = d if paired else r
            right_squares[r] = _twice_centred_ranks(weight, total, y_ranks[row], y_order[row], right[r])
            for p in range(n_values):
                right[r, p] *= weight[p]
        products = np.dot(left, right.T)
        for m in range(n_left):
            for r in range(n_right):
                if left_squares[m] > 0 and right_squares[r] > 0:
                    if tie_free:
                        result[d, m, r] = 3 * products[m, r] / (total**3 - total)
                    else:
                        result[d, m, r] = products[m, r] / np.sqrt(left_squares[m] * right_squares[r])
    return result


@njit(cache=True, nogil=True)
def _twice_centred_ranks(weight, total, ranks, order, out):  # pragma: no cover - compiled
    """Twice (rank - mean rank) of each value, written to ``out``; gives their weighted sum of squares."""
    n_values = len(order)
    below = 0.0
    squares = 0.0
    if ranks[order[n_values - 1]] == n_values - 1:
        for k in range(n_values):
            p = order[k]
            w = weight[p]
            centred = 2 * below + w - total
            out[p] = centred
            squares += w * centred * centred
            below += w
        return squares
    start = 0
    while start < n_values:
        end = start
        group = 0.0
        while end < n_values and ranks[order[end]] == ranks[order[start]]:
            group += weight[order[end]]
            end += 1
        centred = 2 * below + group - total
        for k in range(start, end):
            out[order[k]] = centred
        squares += group * centred * centred
        below += group
        start = end
    return squares


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
