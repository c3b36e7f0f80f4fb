"""Design matrices: dense, sparse, column-scaled, on a device."""

from ._base import Design
from .dense import DenseDesign
from .device import DeviceDesign
from .scaled import ScaledDesign
from .sparse import SparseDesign

__all__ = ["DenseDesign", "Design", "DeviceDesign", "ScaledDesign", "SparseDesign"]
