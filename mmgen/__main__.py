"""`python -m mmgen` is the same as the `mmgen` command."""

import importlib
import sys

from mmgen import _check_beside
from mmgen.errors import PackagesApart


def main() -> int:
    """Run the command line and return its exit code."""
    try:
        _check_beside("ui")
    except PackagesApart as error:
        print(error, file=sys.stderr)
        return error.exit_code
    # By name: an import statement would be an arrow from the parts up to the edges.
    code: int = importlib.import_module("ui.command_line").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
