"""scikit-learn estimators (optional extra `fastmtl[estimators]`)."""

from importlib.util import find_spec

if find_spec("sklearn") is None:
    raise ModuleNotFoundError(
        "fastmtl.estimators needs scikit-learn: pip install 'fastmtl[estimators]'", name="sklearn"
    )

from .classifier import MultiTaskClassifier
from .cv import GroupLassoCV, MultiTaskClassifierCV, MultiTaskGLMCV, SparseGroupLassoCV, TraceNormRegressorCV
from .glm import MultiTaskGLM
from .group import GroupLasso, SparseGroupLasso
from .lasso import ElasticNet, Lasso, MultiTaskElasticNet, MultiTaskLasso
from .lasso_cv import ElasticNetCV, LassoCV, MultiTaskElasticNetCV, MultiTaskLassoCV
from .trace import TraceNormRegressor

__all__ = [
    "ElasticNet",
    "ElasticNetCV",
    "GroupLasso",
    "GroupLassoCV",
    "Lasso",
    "LassoCV",
    "MultiTaskClassifier",
    "MultiTaskClassifierCV",
    "MultiTaskElasticNet",
    "MultiTaskElasticNetCV",
    "MultiTaskGLM",
    "MultiTaskGLMCV",
    "MultiTaskLasso",
    "MultiTaskLassoCV",
    "SparseGroupLasso",
    "SparseGroupLassoCV",
    "TraceNormRegressor",
    "TraceNormRegressorCV",
]
