"""Where numba keeps compiled kernels: a folder named after their sources.

numba looks only at the file of the function that it is asked for; a kernel that calls another module's would go on
running the old one after an update. Runs when `trader` is imported, before numba is.
"""

import os
import shutil
from hashlib import sha256
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
KERNELS = Path(__file__).parent / "kernels"
PREFIX = "kernels-"


def use_fresh_cache() -> None:
    """Point numba at the folder of these very kernels.

    Under NUMBA_CACHE_DIR where that is set (a service's cache folder, which other versions may be using), else beside
    the kernels, else, where those cannot be written, in the user's own cache; there other versions' folders go.
    """
    given = os.environ.get(VARIABLE)
    if given is not None and Path(given).name.startswith(PREFIX):
        return  # a parent process has chosen already
    root = Path(given) if given is not None else KERNELS / "__pycache__"
    if given is None and not os.access(root if root.exists() else KERNELS, os.W_OK):
        root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nq-trader"
    folder = root / f"{PREFIX}{_sources_hash()}"
    if given is None and not folder.exists():
        for old in root.glob(f"{PREFIX}*"):
            shutil.rmtree(old, ignore_errors=True)
    os.environ[VARIABLE] = str(folder)


def _sources_hash() -> str:
    digest = sha256()
    for source in sorted(KERNELS.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]
