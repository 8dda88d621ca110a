"""The store, put together."""

from .accounts import Accounts
from .jobs import Jobs
from .leases import Leases
from .retention import Retention
from .submission import Submission
from .wakeup import Wakeup
from .workers import Workers


class Store(Accounts, Submission, Jobs, Leases, Retention, Workers, Wakeup):
    """All that lasts, in one database: open it with `Store.open`, then `migrate`. Every method is one transaction."""
