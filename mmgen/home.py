"""Where mmgen keeps what outlives one command.

    MMGEN_HOME/                      default: the user data folder of the platform
      config.toml                    settings, read by mmgen/settings.py
      mmgen.sqlite                   jobs and their items, see mmgen/jobs/
      catalogues/<owner>/<id>/       a searchable collection, see mmgen/catalogue/
      training/<owner>/<run>/        checkpoints and logs of a training run, mode 0700

Names on disk are ids; what a user calls a thing is data. The owner is `local`
for the command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mmgen.errors import OutputNotWritable

LOCAL_OWNER = "local"


def home_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The absolute path of the home folder; it need not exist yet."""
    if chosen := environ.get("MMGEN_HOME"):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("mmgen", appauthor=False))


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The file that settings are read from; it need not exist."""
    return home_path(environ) / "config.toml"


def database_path() -> Path:
    """The SQLite file of jobs and their items; it need not exist yet."""
    return home_path() / "mmgen.sqlite"


def catalogues_path(owner: str = LOCAL_OWNER) -> Path:
    """The folder of an owner's catalogues; it need not exist yet."""
    return home_path() / "catalogues" / owner


def training_path(run: str, owner: str = LOCAL_OWNER) -> Path:
    """The folder of a training run; it need not exist yet."""
    return home_path() / "training" / owner / run


def private_folder(path: Path) -> Path:
    """`path`, made if need be, with access for its owner alone (mode 0700).

    Raises `OutputNotWritable` when it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise OutputNotWritable(path=path, reason=error.strerror or error) from error
    return path
