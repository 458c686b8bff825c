"""Imports ArviZ for all tests: the test processes do so at the same moment, and its own import fails some of them."""

from cinnflow.imports import import_arviz

import_arviz()
