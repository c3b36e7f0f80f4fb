"""Design matrices: dense, sparse, column-scaled, on a device; and what tasks make of them."""

from ._base import Design
from .dense import DenseDesign
from .device import DeviceDesign, on_the_device
from .per_task import OwnDesigns, SharedDesign, TaskDesign
from .scaled import ScaledDesign
from .sparse import SparseDesign

__all__ = [
    "DenseDesign",
    "Design",
    "DeviceDesign",
    "OwnDesigns",
    "ScaledDesign",
    "SharedDesign",
    "SparseDesign",
    "TaskDesign",
    "on_the_device",
]
