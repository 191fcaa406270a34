"""Made from specs.

Written by `make generate-from-spec` from services/backend/spec; do not edit.
"""
