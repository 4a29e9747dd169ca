"""What a collection knows of one node."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(kw_only=True)
class AskedNode:
    """A node that is, or was, online during a collection.

    Attributes:
        id: Flower's number of it.
        name: Under which it is registered; empty if under none.
        site: For which it speaks, as far as the rules let it; empty if that is not known.
        online: Whether it was listed at the last look.
        asked: How often it was asked since it came online.
        due: When it may be asked (again).
        began: When it was asked last.
        message: Id of the message that it has not answered yet; empty if there is none.
        busy: Whether a call about it is under way.
        why: Why there is no bank of it.
    """

    id: int
    name: str
    site: str = ""
    online: bool = False
    asked: int = 0
    due: float = -math.inf
    began: float = 0.0
    message: str = ""
    busy: bool = False
    why: str = ""

    @property
    def reason(self) -> str:
        """Why there is no bank of it, whatever happened last."""
        if self.message:
            return "It was asked, but " + ("has not answered." if self.online else "went offline before it answered.")
        return self.why or "It was online, but was not asked any more."
