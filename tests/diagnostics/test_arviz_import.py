"""ArviZ is there for all processes that want it at once."""

import os
import subprocess
import sys


def test_arviz_is_imported_also_where_another_process_was_first_that_day(tmp_path):
    code = (
        "import pathlib\n"
        "from cinnflow.diagnostics.arviz_import import import_arviz\n"
        "rename, failed = pathlib.Path.replace, []\n"
        "def taken(path, target):\n"
        "    done = rename(path, target)\n"
        "    return done if failed or failed.append(1) else rename(path, target)\n"
        "pathlib.Path.replace = taken\n"
        "assert import_arviz().psislw and failed\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, check=True)
