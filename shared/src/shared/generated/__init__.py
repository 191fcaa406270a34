"""Made from specs.

Written by `make generate-from-spec` from shared/spec; do not edit.
"""
