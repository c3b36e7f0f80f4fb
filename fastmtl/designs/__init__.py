"""Design matrices: dense, sparse, column-scaled, on a device; and what tasks make of them."""

from ._base import Design
from .dense import DenseDesign
from .device import DeviceDesign
from .per_task import OwnDesigns, SharedDesign, TaskDesign
from .resident_tasks import ResidentTasks
from .scaled import ScaledDesign
from .sparse import SparseDesign
from .sparse_device import SparseDeviceDesign, on_the_device

__all__ = [
    "DenseDesign",
    "Design",
    "DeviceDesign",
    "OwnDesigns",
    "ResidentTasks",
    "ScaledDesign",
    "SharedDesign",
    "SparseDesign",
    "SparseDeviceDesign",
    "TaskDesign",
    "on_the_device",
]
