"""scikit-learn estimators (optional extra `fastmtl[estimators]`)."""

try:
    import sklearn  # noqa: F401 - only to say what is missing
except ModuleNotFoundError as missing:
    need = "fastmtl.estimators needs scikit-learn: pip install 'fastmtl[estimators]'"
    raise ModuleNotFoundError(need, name="sklearn") from missing

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
