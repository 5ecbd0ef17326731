"""`BOT_PYTHON <this folder>`: makes the folder a package under a private name, and runs it."""

import importlib.util
import sys
from pathlib import Path

# A folder that is run lies first on the import path: a bot's `import wire` must not find ours.
here = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != here]

NAME = "_voicedeploy_worker"
spec = importlib.util.spec_from_file_location(NAME, here / "__init__.py", submodule_search_locations=[str(here)])
assert spec and spec.loader
package = importlib.util.module_from_spec(spec)
sys.modules[NAME] = package
spec.loader.exec_module(package)

if __name__ == "__main__":
    importlib.import_module(f"{NAME}.main").main()
