"""Numeric kernels of fastmtl: one contract, three modules that satisfy it (reference, cpu, gpu)."""
