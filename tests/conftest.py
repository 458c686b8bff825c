"""Imports ArviZ for all tests: the test processes do so at the same moment, and its own import fails some of them."""

from cinnflow.diagnostics.arviz_import import import_arviz

import_arviz()
