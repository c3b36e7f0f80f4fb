"""scikit-learn estimators (optional extra `fastmtl[estimators]`)."""

from importlib.util import find_spec

if find_spec("sklearn") is None:
    raise ModuleNotFoundError(
        "fastmtl.estimators needs scikit-learn: pip install 'fastmtl[estimators]'", name="sklearn"
    )

from .classifier import MultiTaskClassifier
from .glm import MultiTaskGLM
from .group import GroupLasso, SparseGroupLasso
from .lasso import ElasticNet, Lasso, MultiTaskElasticNet, MultiTaskLasso
from .trace import TraceNormRegressor

__all__ = [
    "ElasticNet",
    "GroupLasso",
    "Lasso",
    "MultiTaskClassifier",
    "MultiTaskElasticNet",
    "MultiTaskGLM",
    "MultiTaskLasso",
    "SparseGroupLasso",
    "TraceNormRegressor",
]
