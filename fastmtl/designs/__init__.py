"""Design matrices: dense, sparse, column-scaled."""

from ._base import Design
from .dense import DenseDesign
from .scaled import ScaledDesign
from .sparse import SparseDesign

__all__ = ["DenseDesign", "Design", "ScaledDesign", "SparseDesign"]
