"""The solvers on plain arrays: the optimum, by certificates; nothing written, printed or shared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastmtl
from fastmtl import embed
from fastmtl.penalties import L1, L21, Group, SparseGroup, Trace

TOL = 1e-8


def data(n=60, p=30, t=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.5 * rng.standard_normal((n, 1))
    Y = X[:, :5] @ rng.standard_normal((5, t)) + rng.standard_normal((n, t))
    return X, Y


def moments(X, Y):
    return X.T @ X, X.T @ Y, float((Y**2).sum())


def labels(p):
    return np.arange(p) % 7  # groups that are not contiguous


PENALTIES = {
    "l21": lambda a, p: L21(a),
    "l21, weights": lambda a, p: L21(a, feature_weights=[np.inf, 2.0] + [1.0] * (p - 2)),
    "elastic net": lambda a, p: L21(a, l1_ratio=0.5),
    "l1": lambda a, p: L1(0.5 * a),
    "positive": lambda a, p: L1(0.5 * a, positive=True),
    "group": lambda a, p: Group(a, groups=labels(p)),
    "free group": lambda a, p: Group(a, groups=labels(p), group_weights=[0.0] + [1.0] * 6),
    "sparse group": lambda a, p: SparseGroup(a, tau=0.3, groups=labels(p)),
    "ridge": lambda a, p: L21(a, l1_ratio=0.0),
    "nothing": lambda a, p: L21(0.0),
}


def primal(X, Y, W, penalty):
    return 0.5 * float(((Y - X @ W) ** 2).sum()) + penalty.value(W)


@pytest.mark.parametrize("t", [1, 4, 12])
@pytest.mark.parametrize("name", PENALTIES)
def test_moments_data_and_the_front_door_agree_within_their_gaps(name, t):
    X, Y = data(t=t)
    penalty = PENALTIES[name](0.1 * np.sqrt(((X.T @ Y) ** 2).sum(axis=1)).max(), X.shape[1])
    by_moments = embed.solve_gram(*moments(X, Y), penalty, tol=TOL)
    by_data = embed.solve(X, Y, penalty, tol=TOL)
    front = fastmtl.fit(X, Y, penalty, fit_intercept=False, scale="sum", tol=TOL)
    half = 0.5 * (Y**2).sum()
    rounding = 1e3 * np.finfo(float).eps * half
    for found in (by_moments, by_data):
        assert found.converged and found.gap <= TOL * half
        value = primal(X, Y, found.coef, penalty)
        assert abs(value - found.objective) <= rounding
        assert abs(value - front.certificate.primal) <= found.gap + front.certificate.gap + rounding


@pytest.mark.parametrize("name", ["l21", "elastic net", "l1", "group", "sparse group"])
def test_the_gap_on_moments_is_the_gap_of_the_data(name):
    X, Y = data()
    penalty = PENALTIES[name](0.2 * np.sqrt(((X.T @ Y) ** 2).sum(axis=1)).max(), X.shape[1])
    found = embed.solve_gram(*moments(X, Y), penalty, tol=1e-3)
    seen = fastmtl.certify(X, Y, found.coef, penalty=penalty, fit_intercept=False, scale="sum")
    assert found.gap >= seen.gap * (1 - 1e-6) - 1e3 * np.finfo(float).eps * seen.primal
    assert found.gap <= 1e-3 * 0.5 * (Y**2).sum()


def test_many_features_are_solved_by_working_sets():
    X, Y = data(n=200, p=600, t=3)
    gram, Q, squares = moments(X, Y)
    for strength in (0.3, 0.03):
        shrink = embed.blocks(600, strength * np.sqrt((Q**2).sum(axis=1)).max(), size=3)
        found = embed.solve_gram(gram, Q, squares, shrink, tol=TOL)
        other = embed.solve(X, Y, shrink, tol=TOL)
        assert found.converged and 0 < found.active.sum() < 200
        assert abs(found.objective - other.objective) <= found.gap + other.gap + 1e-12 * squares


def test_a_tolerance_is_relative_or_absolute():
    X, Y = data()
    shrink = embed.blocks(30, 20.0)
    for call in (
        lambda **k: embed.solve(X, Y, shrink, **k),
        lambda **k: embed.solve_gram(*moments(X, Y), shrink, **k),
    ):
        absolute = call(tol=1e-5, relative=False)
        assert absolute.converged and absolute.gap <= 1e-5
        assert call(tol=1e-5).gap <= 1e-5 * 0.5 * (Y**2).sum()


def test_squares_come_in_all_a_task_or_as_a_matrix():
    X, Y = data()
    gram, Q, total = moments(X, Y)
    shrink = embed.blocks(30, 20.0)
    found = [embed.solve_gram(gram, Q, squares, shrink) for squares in (total, (Y**2).sum(axis=0), Y.T @ Y)]
    for other in found[1:]:
        np.testing.assert_allclose(other.coef, found[0].coef, rtol=1e-12)


def test_a_mask_keeps_blocks_at_zero_and_the_gap_is_that_of_the_rest():
    X, Y = data()
    gram, Q, squares = moments(X, Y)
    shrink = embed.blocks(30, 10.0, size=2)
    mask = np.zeros(15, dtype=bool)
    mask[1:6] = True
    rows = np.repeat(mask, 2)
    rest = embed.solve(X[:, rows], Y, embed.blocks(10, 10.0, size=2), tol=TOL)
    start = np.ones((30, 4))
    for found in (
        embed.solve(X, Y, shrink, active=mask, coef=start, tol=TOL),
        embed.solve_gram(gram, Q, squares, shrink, active=mask, coef=start, tol=TOL),
    ):
        assert found.converged and not found.coef[~rows].any() and not (found.active & ~mask).any()
        assert abs(found.objective - rest.objective) <= found.gap + rest.gap + 1e-12 * squares


def test_starting_at_the_optimum_costs_one_look():
    X, Y = data(p=20)
    gram, Q, squares = moments(X, Y)
    shrink = embed.blocks(20, 5.0)
    cold = embed.solve_gram(gram, Q, squares, shrink, tol=1e-10)
    warm = embed.solve_gram(gram, Q, squares, shrink, tol=1e-8, coef=cold.coef)
    assert warm.converged and warm.n_iter <= 2 < cold.n_iter
    again = embed.solve(X, Y, shrink, tol=1e-8, coef=cold.coef)
    assert again.converged and again.n_iter == 0


def test_a_batch_solves_each_problem():
    X, _ = data(p=12)
    rng = np.random.default_rng(1)
    targets = rng.standard_normal((9, 60, 2)) + X[:, :2] * np.arange(9)[:, None, None]
    gram, Q, squares = X.T @ X, X.T @ targets, (targets**2).sum(axis=(1, 2))
    one, each = embed.blocks(12, 10.0), [embed.blocks(12, 5.0 + i, ridge=0.1 * i) for i in range(9)]
    for penalty in (one, each):
        found = embed.solve_batch(gram, Q, squares, penalty, tol=TOL)
        assert found.coef.shape == (9, 12, 2) and found.active.shape == (9, 12) and found.converged.all()
        for i in range(9):
            alone = embed.solve_gram(gram, Q[i], squares[i], penalty[i] if penalty is each else one, tol=TOL)
            assert abs(alone.objective - found.objective[i]) <= alone.gap + found.gap[i] + 1e-12 * squares[i]
    warm = embed.solve_batch(gram, Q, squares, each, coef=found.coef, tol=2 * TOL)
    assert (warm.n_iter <= 2).all()


def test_nothing_is_written_and_read_only_input_is_welcome():
    X, Y = data()
    gram, Q, squares = moments(X, Y)
    start = np.ones((30, 4))
    shrink = embed.blocks(30, 10.0)
    plain = embed.solve_gram(gram, Q, squares, shrink, coef=start), embed.solve(X, Y, shrink, coef=start)
    for A in (X, Y, gram, Q, start, *shrink[:4]):
        A.flags.writeable = False
    locked = embed.solve_gram(gram, Q, squares, shrink, coef=start), embed.solve(X, Y, shrink, coef=start)
    for before, after in zip(plain, locked, strict=True):
        np.testing.assert_array_equal(before.coef, after.coef)
        assert after.coef.flags.writeable and (start == 1).all()


def test_layouts_of_the_moments_do_not_matter():
    X, Y = data()
    gram, Q, squares = moments(X, Y)
    shrink = embed.blocks(30, 10.0)
    plain = embed.solve_gram(gram, Q, squares, shrink)
    big = np.zeros((60, 60))
    big[::2, ::2] = gram
    for G in (np.asfortranarray(gram), big[::2, ::2]):
        other = embed.solve_gram(G, np.asfortranarray(Q), squares, shrink)
        np.testing.assert_allclose(other.coef, plain.coef, rtol=1e-12, atol=1e-15)


def test_eight_threads_get_the_bits_that_each_would_get_alone():
    jobs = [data(n=50, p=40 + 3 * (i % 5), t=1 + i % 9, seed=i) for i in range(32)]

    def run(job):
        X, Y = job
        shrink = embed.blocks(X.shape[1], 5.0, ridge=0.1)
        return (
            embed.solve_gram(*moments(X, Y), shrink).coef.tobytes() + embed.solve(X, Y, shrink).coef.tobytes()
        )

    alone = [run(job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(2):
            assert list(pool.map(run, jobs)) == alone


def test_a_run_that_ends_early_says_so_and_is_silent(capfd):
    X, Y = data(p=30, n=20)
    shrink = embed.blocks(30, 0.01)
    for found in (
        embed.solve_gram(*moments(X, Y), shrink, tol=1e-14, max_epochs=2),
        embed.solve(X, Y, shrink, tol=1e-14, max_iter=0),
    ):
        assert not found.converged and np.isfinite(found.coef).all() and found.gap > 0
    assert capfd.readouterr() == ("", "")


def test_small_and_empty_cases():
    zero = embed.solve_gram(np.eye(3), np.zeros((3, 2)), 0.0, embed.blocks(3, 1.0))
    assert zero.converged and not zero.coef.any() and zero.gap == 0
    assert not embed.solve(np.eye(3), np.zeros((3, 2)), embed.blocks(3, 1.0)).coef.any()
    # One feature by hand: w = (x'y - alpha) / x'x.
    one = embed.solve_gram(np.array([[4.0]]), np.array([[6.0]]), 9.0, embed.blocks(1, 2.0), tol=1e-15)
    np.testing.assert_allclose(one.coef, [[1.0]])


def test_what_cannot_be_served_is_refused_and_check_finds_slips():
    X, Y = data()
    with pytest.raises(TypeError, match="block form"):
        embed.solve(X, Y, Trace(1.0))
    with pytest.raises(ValueError, match="positive"):
        embed.solve_gram(*moments(X, Y), embed.blocks(30, [0.0] + [1.0] * 29, positive=True))
    embed.check(embed.blocks(30, 1.0), 30, X, X.T @ Y)
    embed.check(L21(1.0), 30, X)
    slips = [
        (embed.blocks(30, 1.0), 31, ()),
        (embed.blocks(30, -1.0), 30, ()),
        (embed.blocks(30, 1.0, l1=np.inf), 30, ()),
        (embed.blocks(30, 1.0)._replace(l2=np.ones(3)), 30, ()),
        (embed.blocks(30, 1.0), 30, (np.ones((3, 4)),)),
        (embed.blocks(30, 1.0), 30, (np.full((30, 2), np.nan),)),
    ]
    for shrink, p, arrays in slips:
        with pytest.raises(ValueError, match=r"ptr|l1|l2|array|strength"):
            embed.check(shrink, p, *arrays)


@pytest.mark.parametrize("seed", range(4))
def test_blocks_without_a_norm_hold_rows_of_any_strength(seed):
    """Rows that are not penalised beside some that are: gaps below zero, and descents that never ended."""
    X, Y = data(n=37, p=11, t=5, seed=seed)
    strengths = np.random.default_rng(seed).choice([0.0, 0.1, 0.5], 11) * np.abs(X.T @ Y).max()
    loose = embed.blocks(11, [0.0, 2.0, 0.0], ptr=[0, 5, 7, 11], l1=strengths)
    by_moments, by_data = embed.solve_gram(*moments(X, Y), loose, tol=TOL), embed.solve(X, Y, loose, tol=TOL)
    half = 0.5 * float((Y**2).sum())
    for found in (by_moments, by_data):
        assert found.converged and found.active.shape == (3,)
        assert -1e-12 * half <= found.gap <= TOL * half
    assert abs(by_moments.objective - by_data.objective) <= 2 * TOL * half
    embed.check(loose, 11, X)


def test_signs_hold_rows_that_are_not_penalised():
    """They came out negative, with an infinite objective."""
    X, Y = data()
    record = embed.blocks(30, [0.0, 0.0] + [50.0] * 28, positive=True)
    penalty = L21(50.0, feature_weights=[0.0, 0.0] + [1.0] * 28, positive=True)
    found = embed.solve(X, -Y, record, tol=TOL)
    front = fastmtl.fit(X, -Y, penalty, fit_intercept=False, scale="sum", tol=TOL)
    assert found.converged and (found.coef >= 0).all()
    assert found.objective == pytest.approx(front.certificate.primal, rel=3 * TOL)


def test_an_empty_batch_has_no_solution():
    found = embed.solve_batch(np.eye(3), np.zeros((0, 3, 2)), np.zeros(0), embed.blocks(3, 1.0))
    assert found.coef.shape == (0, 3, 2) and found.active.shape == (0, 3) and found.gap.shape == (0,)


def test_a_start_on_rows_that_free_ones_explain():
    """What is left of their curvature is rounding, by which no sweep came back from a start."""
    X, Y = data(n=12, p=40)
    penalty = embed.blocks(40, [0.0] * 15 + [1.0] * 25)
    found = embed.solve_gram(*moments(X, Y), penalty, coef=np.ones((40, 4)), tol=TOL)
    assert found.converged and not found.coef[15:].any()
