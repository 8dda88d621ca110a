"""The worker: one process per device that loads the model, then takes jobs; and the supervisor that keeps it alive.

    loading ──▶ ready ◀──▶ busy ──▶ (dead: restarted with backoff)
                  │          │
                  └──────────┴──▶ draining ──▶ stopped

Nothing is imported here: the supervisor's process must not load PyTorch.
"""
