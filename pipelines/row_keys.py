"""Which key and which folder each row of a table has; a million rows in 40 MB."""

from __future__ import annotations

import hashlib
from array import array

from mmgen.files.names import safe_name


class RowKeys:
    """The keys met so far.

    The first row of an id is called by it, later ones `id#2`, `id#3`: never by
    the number of the row, so that rows can be moved and inserted.
    """

    def __init__(self) -> None:
        self._keys = _Seen()
        self._folders = _Seen()
        self._repeats: dict[str, int] = {}
        self._twins: set[str] = set()
        """Ids whose folder another id has, but for capital letters."""

    def add(self, identity: str) -> tuple[str, str]:
        """The key of the next row with this id, and the folder of all rows with it."""
        folder = safe_name(identity)
        if not self._keys.add(hash(identity)):
            if self._folders.add(hash(folder.casefold())):
                self._twins.add(identity)
            return identity, self._apart(identity, folder)
        number = self._repeats.get(identity, 1) + 1
        while self._keys.add(hash(f"{identity}#{number}")):
            number += 1
        self._repeats[identity] = number
        return f"{identity}#{number}", self._apart(identity, folder)

    def _apart(self, identity: str, folder: str) -> str:
        """A folder that is distinct also on disks which ignore case."""
        if identity not in self._twins:
            return folder
        return safe_name(f"{folder}_{hashlib.sha256(identity.encode()).hexdigest()[:8]}")


class _Seen:
    """A set of 64-bit hashes by open addressing, in a sixth of the memory of Python's own."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._count = 0

    def add(self, value: int) -> bool:
        """Add a hash; returns whether it was there."""
        if not self._put(value & 0xFFFF_FFFF_FFFF_FFFF or 1):
            return True
        self._count += 1
        if self._count * 2 > len(self._slots):
            before, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
            for each in before:
                if each:
                    self._put(each)
        return False

    def _put(self, value: int) -> bool:
        slots, last = self._slots, len(self._slots) - 1
        place = value & last
        while there := slots[place]:
            if there == value:
                return False
            place = (place + 1) & last
        slots[place] = value
        return True
