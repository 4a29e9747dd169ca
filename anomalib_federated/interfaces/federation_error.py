"""What ends a federation."""


class FederationError(RuntimeError):
    """A federation cannot go on; the message says which site is at fault and why."""
