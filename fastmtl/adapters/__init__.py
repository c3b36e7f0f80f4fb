"""Our solvers behind other libraries' own signatures: `mne`, `skglm` and `sklearn_path`, each imported by its name.

An adapter loads its client inside the functions that need it, so that importing one costs nothing where the client is
missing.
"""
