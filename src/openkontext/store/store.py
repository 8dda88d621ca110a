"""The store, put together."""

from .accounts import Accounts
from .estimates import Estimates
from .history import History
from .jobs import Jobs
from .latency import Latencies
from .leases import Leases
from .operations import Operations
from .outbox import Outbox
from .retention import Retention
from .submission import Submission
from .uploads import Uploads
from .wakeup import Wakeup
from .workers import Workers


class Store(
    Accounts,
    Submission,
    Jobs,
    Leases,
    Retention,
    History,
    Estimates,
    Latencies,
    Operations,
    Uploads,
    Outbox,
    Workers,
    Wakeup,
):
    """All that lasts, in one database: open it with `Store.open`, then `migrate`. Every method is one transaction."""
