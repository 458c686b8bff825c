"""For all tests: ArviZ is imported, and Hypothesis waits for however busy a machine.

The test processes import ArviZ at the same moment, and its own import fails some of them.
"""

from hypothesis import settings

from cinnflow.diagnostics.arviz_import import import_arviz

import_arviz()
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
