"""Solvers on plain arrays, for authors of other libraries: no checks, no state, no output.

All of them minimise, over W (p, t),

    1/2 |Y - X W|_F^2 + sum_b ( l1 |W_b|_1 + l2_b |W_b|_F + ridge_b / 2 |W_b|_F^2 )        (and W >= 0 if asked)

`solve` takes X and Y, `solve_gram` their moments X'X, X'Y and |Y|^2, `solve_batch` many targets on one X'X. There is no
1/n: divide the moments by n, or multiply the strengths by it, for that scale. There is no intercept: centre first.

Nothing is validated: shapes that do not match, NaN, or a Gram matrix that is not symmetric are the caller's to exclude
(`check` is there for tests and debugging). Inputs are never written to, read-only arrays included. Calls share nothing:
any number of threads may run them at once, each with the result it would have alone. Nothing is printed or warned about;
look at `gap` and `converged`.
"""

from ._blocks import blocks, check
from ._data import solve
from ._gram import solve_batch, solve_gram
from ._solution import BatchSolution, Solution

__all__ = ["BatchSolution", "Solution", "blocks", "check", "solve", "solve_batch", "solve_gram"]
