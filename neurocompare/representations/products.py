"""Sums over units from which dissimilarities between stimuli follow, accumulated block by block.

Takes responses as tensors (stimuli x units, or groups of stimuli x units); keeps one small matrix per group of stimuli,
so that layers of any size can be processed. Products are computed about the mean pattern of the group, where rounding
is smallest, in the precision of the patterns, and added up in float64.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from scipy.linalg import blas

from neurocompare.representations.dissimilarities import MODEL_DISSIMILARITIES, Dissimilarity, find_dissimilarity

__all__ = ["PatternSums", "UnitStatistics", "few_rows", "rows_nearby", "threads_left_to_blas"]

CONSTANT_ROUNDING = 4.0
"""A unit is constant if its standard deviation is below so many rounding errors of its mean."""
ALIKE = 16.0
"""Two patterns are equal if their distance is below so many rounding errors of the responses."""
_ROWS_AT_ONCE = 2048
_ROWS_OF_BAND = 256
_FEW_ROWS = 32
_FEW_PRODUCTS = 1_000_000
"""Up to about so many rows BLAS is quickest with a product of so few numbers that it rearranges nothing first."""
_FIRST_ROWS = 64
_SYMMETRIC_PRODUCTS = {np.dtype("f4"): blas.ssyrk, np.dtype("f8"): blas.dsyrk}
_PRODUCTS = {np.dtype("f4"): blas.sgemm, np.dtype("f8"): blas.dgemm}
_NEAR = 2**19
"""Responses that a processor keeps nearest: several steps over so many are about as fast as one."""


class UnitStatistics:
    """Mean and standard deviation of every unit over stimuli, from batches in any order.

    Parameters
    ----------
    n_units : int
        Units of the layer.
    device : torch.device
        Device of the sums.

    Notes
    -----
    Sums are taken about the mean of the first rows, which is at most ``sqrt(n / n_rows)`` standard deviations from the
    overall mean; this bounds the rounding error of the variance.
    """

    def __init__(self, n_units: int, device: torch.device):
        self.first = torch.zeros(n_units, device=device)
        self.sums = torch.zeros(2, n_units, dtype=torch.float64, device=device)
        self.n = 0

    def add(self, responses: torch.Tensor, units: slice, *, scratch: torch.Tensor) -> None:
        """Add a batch.

        Parameters
        ----------
        responses : torch.Tensor of shape (n_images, n_units_of_slice)
            Responses of these units to the images of the batch.
        units : slice
            Which units these are.
        scratch : torch.Tensor of shape (n_rows, n_units_of_slice)
            Overwritten; ``rows_nearby(n_units_of_slice)`` rows, or as many as there are images.
        """
        if self.first.dtype != responses.dtype:
            self.first = self.first.to(responses.dtype)
        if self.n == 0:
            rows = responses[:_FIRST_ROWS]
            # A product with ones: sums over rows are slow in torch.
            self.first[units] = rows.new_ones(len(rows)) @ rows / len(rows)
        first, (sums, squares) = self.first[units], self.sums[:, units]
        for rows in responses.split(rows_nearby(responses.shape[1])):
            shifted = torch.sub(rows, first, out=scratch[: len(rows)])
            ones = shifted.new_ones(len(rows))
            sums += ones @ shifted
            squares += ones @ shifted.square_()

    @property
    def finite(self) -> bool:
        """Whether all sums are finite; they are if all responses are, unless they overflow."""
        return bool(torch.isfinite(self.sums).all())

    def finish(self, n_stimuli: int, precision: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean of each unit, and 1 over its standard deviation: 0 for a constant unit.

        Parameters
        ----------
        n_stimuli : int
            Number of stimuli added.
        precision : torch.dtype
            Type of the responses, which determines the rounding error.

        Returns
        -------
        means, scales : torch.Tensor of shape (n_units,)
            Of each unit, by which it is z-scored.
        """
        shift = self.sums[0] / n_stimuli
        variances = (self.sums[1] / n_stimuli - shift**2).clamp(min=0.0)
        means = self.first.double() + shift
        return means.to(self.first.dtype), scales_of(means, variances, precision).to(self.first.dtype)


def rows_nearby(n_units: int) -> int:
    """Rows of responses that are best taken through several steps before the next, see :data:`_NEAR`."""
    return max(16, _NEAR // n_units)


def few_rows(size: int) -> bool:
    """Whether a group of so many stimuli is small: its products are then taken over parts of the units."""
    return size + 2 <= _FEW_ROWS


def scales_of(means: torch.Tensor, variances: torch.Tensor, precision: torch.dtype) -> torch.Tensor:
    """1 over the standard deviation of each unit; 0 if it is only rounding, see :data:`CONSTANT_ROUNDING`."""
    sd = variances.sqrt()
    constant = sd <= CONSTANT_ROUNDING * torch.finfo(precision).eps * means.abs()
    return torch.where(constant, 0.0, 1.0 / sd)


class PatternSums:
    """Sums over units of products between the patterns of each group of stimuli.

    Parameters
    ----------
    n_groups, size : int
        Groups, and stimuli in each: one group of all stimuli, or one per exemplar.
    precision : torch.dtype
        Type of the responses, which determines the rounding error.

    Attributes
    ----------
    n_units, n_constant : int
        Number of units in the sums, and of constant units, which are left out.
    """

    def __init__(self, n_groups: int, size: int, precision: torch.dtype):
        self.size = size
        self.precision = precision
        self.n_units = self.n_constant = 0
        # The last two rows are the group's mean pattern and ones, which give the sums that the mean took away.
        self.sums = np.zeros((n_groups, size + 2, size + 2))
        self.squares = np.zeros(n_groups)
        # Sum of squares of what was taken away from the responses: their rounding is relative to it.
        self.removed = np.zeros(n_groups)
        self.level: float | None = None
        self._memory: dict[tuple[str, np.dtype], np.ndarray] = {}

    @property
    def finite(self) -> bool:
        """Whether every pattern's sums are numbers; they are where all responses are, unless they overflow."""
        return bool(np.isfinite(self.sums.diagonal(axis1=1, axis2=2)).all())

    def count(self, n_varying: int, n_units: int) -> None:
        """Count units, once for all groups."""
        self.n_units += n_varying
        self.n_constant += n_units - n_varying

    def add(
        self,
        patterns: torch.Tensor,
        groups: slice,
        *,
        varying: torch.Tensor | None = None,
        removed: float = 0.0,
        centred: bool = False,
    ) -> None:
        """Add units of some groups.

        Parameters
        ----------
        patterns : torch.Tensor of shape (n_groups_of_slice, size + 2, n_units_of_block)
            Overwritten; its last two rows are free.
        groups : slice
            Which groups these are.
        varying : boolean torch.Tensor of shape (n_units_of_block,), or None
            Varying units; patterns are 0 for all others.
        removed : float
            Sum over units of the square of what normalisation subtracted, in units of the patterns.
        centred : bool
            True if a mean pattern has been subtracted already and is in the second to last row; any pattern is allowed
            that leaves small numbers.
        """
        size = self.size
        mean = patterns[:, size]
        if not centred:
            torch.mean(patterns[:, :size], dim=1, out=mean)
            patterns[:, :size] -= mean[:, None]
        self.removed[groups] += mean.square().sum(dim=1).cpu().numpy() + removed
        if self.level is None:
            # Correlation and distance do not see a constant that is taken from all units alike; rounding does.
            self.level = float(mean.double().mean())
        mean -= self.level
        if varying is None:
            patterns[:, size + 1] = 1.0
        else:
            varying = varying.to(patterns.dtype)
            patterns[:, size + 1] = varying
            mean *= varying
        sums = self.sums[groups]
        if patterns.device.type != "cpu" and len(patterns) > 1:
            sums += torch.bmm(patterns, patterns.transpose(1, 2)).cpu().numpy()
        else:
            multiply = self._strips if patterns.device.type == "cpu" else _strips_on_device
            for of_group, group in zip(sums, patterns, strict=True):
                for rows, first, products in multiply(group):
                    of_group[rows, first : first + products.shape[1]] += products
        # A sum of squares alone: in float32 its rounding has one sign, and every dissimilarity hangs on it.
        self.squares[groups] += mean.double().square().sum(dim=1).cpu().numpy()

    def _strips(self, patterns: torch.Tensor) -> Iterator[tuple[slice, int, np.ndarray]]:
        """The upper triangle of ``patterns @ patterns.T`` in parts: rows, first column, products from there on.

        SciPy's BLAS has the symmetric product that torch lacks, which is half the work, and is quicker with few rows.
        """
        values = patterns.numpy()
        syrk, gemm = _SYMMETRIC_PRODUCTS[values.dtype], _PRODUCTS[values.dtype]
        if len(values) <= _FEW_ROWS:
            at_once = _FEW_PRODUCTS // len(values) ** 2
            for start in range(0, values.shape[1], at_once):
                part = np.asfortranarray(values[:, start : start + at_once].T)
                yield slice(0, len(values)), 0, gemm(1.0, part, part, trans_a=1)
            return
        for start in range(0, len(values), _ROWS_AT_ONCE):
            # BLAS counts columns first: what it takes for a transposed matrix is ours as it is.
            rows, others = values[start : start + _ROWS_AT_ONCE].T, values[start + _ROWS_AT_ONCE :].T
            here = slice(start, start + rows.shape[1])
            square = self._room("square", (rows.shape[1],) * 2, values.dtype)
            yield from _in_bands(here, syrk(1.0, rows, trans=1, lower=1, c=square.T, overwrite_c=1).T)
            if others.shape[1]:
                rest = self._room("rest", (rows.shape[1], others.shape[1]), values.dtype)
                yield here, here.stop, gemm(1.0, others, rows, trans_a=1, c=rest.T, overwrite_c=1).T

    def _room(self, name: str, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
        """Memory for products, used again: getting it anew for each block of units is slow."""
        size = shape[0] * shape[1]
        kept = self._memory.get((name, dtype))
        if kept is None or len(kept) < size:
            kept = self._memory[name, dtype] = np.zeros(size, dtype=dtype)
        return kept[:size].reshape(shape)

    def dissimilarities(self, measure: str) -> Iterator[np.ndarray]:
        """Dissimilarities within the groups, one group after the other.

        Parameters
        ----------
        measure : str
            One of :data:`~neurocompare.representations.dissimilarities.MODEL_DISSIMILARITIES`.

        Yields
        ------
        array of shape (size * (size - 1) / 2,)
            The upper triangle row by row, as in rsatoolbox. NaN if a pattern is constant or no unit varies, 0 if two
            patterns differ only by rounding.
        """
        found = find_dissimilarity(measure, MODEL_DISSIMILARITIES)
        for sums, square, removed in zip(self.sums, self.squares, self.removed, strict=True):
            yield np.concatenate(list(self._rows(sums, square, removed, found)))

    def _rows(self, sums: np.ndarray, square: float, removed: float, measure: Dissimilarity) -> Iterator[np.ndarray]:
        """The upper triangle of one group, some rows at a time: products fill no more than that."""
        size = self.size
        deviation_power = sums.diagonal()[:size]
        with_mean, totals = sums[:size, size], sums[:size, size + 1] + sums[size, size + 1]
        power = deviation_power + 2 * with_mean + square
        rounding = (ALIKE * torch.finfo(self.precision).eps) ** 2
        for start in range(0, size, _ROWS_OF_BAND):
            stop = min(start + _ROWS_OF_BAND, size)
            deviations = sums[start:stop, start:size]
            either = deviation_power[start:stop, None] + deviation_power[None, start:]
            same = either - 2 * deviations <= rounding * (either + 2 * removed)
            products = deviations + with_mean[start:stop, None]
            products += with_mean[None, start:]
            products += square
            rows = measure.of_rows(products, totals[start:], power[start:], self.n_units)
            rows[same & np.isfinite(rows)] = 0.0
            yield rows[np.triu(np.ones(rows.shape, dtype=bool), 1)]


@contextlib.contextmanager
def threads_left_to_blas(device: torch.device | None = None) -> Iterator[None]:
    """Context in which torch uses one CPU thread, which leaves the others to BLAS.

    The threads of BLAS stay awake for a while after a product, and torch's, which are others, wait for their cores:
    with two cores longer than the products took. Nothing changes for another ``device`` than the processor.
    """
    before = torch.get_num_threads()
    if device is None or device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _in_bands(rows: slice, products: np.ndarray) -> Iterator[tuple[slice, int, np.ndarray]]:
    """A square of products, whose upper triangle alone is filled, without most of what lies below."""
    for start in range(0, len(products), _ROWS_OF_BAND):
        band = products[start : start + _ROWS_OF_BAND, start:]
        yield slice(rows.start + start, rows.start + start + len(band)), rows.start + start, band


def _strips_on_device(patterns: torch.Tensor) -> Iterator[tuple[slice, int, np.ndarray]]:
    """The same as :meth:`PatternSums._strips`, with what every device has."""
    for start in range(0, len(patterns), _ROWS_OF_BAND):
        rows = patterns[start : start + _ROWS_OF_BAND]
        yield slice(start, start + len(rows)), start, (rows @ patterns[start:].T).cpu().numpy()
