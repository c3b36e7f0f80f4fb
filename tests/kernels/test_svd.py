"""The decomposition survives a LAPACK that gives up."""

from __future__ import annotations

import numpy as np
import pytest

from fastmtl_kernels._svd import svd


@pytest.mark.parametrize("failures", [0, 1, 2])
@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)])
def test_every_way_gives_the_decomposition(failures, shape, monkeypatch):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((shape[0], 2)) @ rng.standard_normal((2, shape[1]))
    plain, left = np.linalg.svd, [failures]

    def tired(*arguments, **options):
        left[0] -= 1
        if left[0] >= 0:
            raise np.linalg.LinAlgError("SVD did not converge")
        return plain(*arguments, **options)

    monkeypatch.setattr(np.linalg, "svd", tired)
    U, s, Vt = svd(A)
    np.testing.assert_allclose((U * s) @ Vt, A, atol=1e-13)
    np.testing.assert_allclose(U.T @ U, np.eye(min(shape)), atol=1e-13)
    np.testing.assert_allclose(Vt @ Vt.T, np.eye(min(shape)), atol=1e-13)
    assert (np.diff(s) <= 0).all()


def test_what_is_not_finite_is_refused():
    with pytest.raises(np.linalg.LinAlgError):
        svd(np.full((3, 3), np.nan))
