"""Every scene by its name, with the rules that it shows."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.tills import days, pasts
from tests.tills.scene import Scene

Play = Callable[[Scene], None]


@dataclass(frozen=True, slots=True)
class SceneOf:
    """shows: the rules that it tells beside the habits.

    is_slow: it waits for the contract's own times, or much is done.
    needs_own_box: it stops the box, or gives it another ledger.
    """

    play: Play
    shows: tuple[str, ...]
    is_slow: bool = False
    needs_own_box: bool = False

    @property
    def name(self) -> str:
        return self.play.__name__.replace("_", "-")


OTHER_LEDGER = ("other-ledger-silent", "other-ledger-accepted", "ledger-returns")

SCENES = (
    SceneOf(days.ordinary_sales, ("checked-before-seq", "sku-verbatim", "exact-quantity", "well-formed")),
    SceneOf(days.receipts_and_counts, ("receipt-whole", "receipt-identity", "count")),
    SceneOf(days.lost_acks, ("only-ack-confirms", "cumulative-ack", "counted-once")),
    SceneOf(days.lost_operations, ("only-ack-confirms", "counted-once")),
    SceneOf(days.lost_connections, ("counted-once",)),
    SceneOf(days.restarts, ("sells-offline", "survives-restart", "says-drained")),
    SceneOf(days.turned_away, ("comes-back",)),
    SceneOf(days.handshake, ("waits-for-ack", "other-epoch")),
    SceneOf(days.a_new_run, ("new-run",)),
    SceneOf(days.a_late_ack, ("late-ack",), is_slow=True),
    SceneOf(days.a_late_tick, ("uncertain",), is_slow=True),
    SceneOf(days.a_gap, ("gap-resend", "gap-once")),
    SceneOf(days.everything_twice, ("duplicates", "old-ack")),
    SceneOf(days.rejection, ("rejected-settled", "shows-rejected")),
    SceneOf(days.words_of_a_later_version, ("unknown-keys",)),
    SceneOf(days.changes_in_disorder, ("reordered",)),
    SceneOf(days.absence, ("catches-up", "shows-balance")),
    SceneOf(pasts.a_clone_sells, ("fork-foreign-tag", "fork-keeps-all", "fork-keeps-tags", "fork-marks-again")),
    SceneOf(pasts.a_clone_forks, ("fork-refused", "fork-names-parents")),
    SceneOf(pasts.lost_history, ("fork-history-gap",)),
    SceneOf(pasts.a_restored_box, ("keeps-beyond-safe", "replaces-copy"), needs_own_box=True),
    SceneOf(pasts.another_ledger, OTHER_LEDGER, needs_own_box=True),
    SceneOf(pasts.another_device, ("bound-to-device",)),
    SceneOf(days.a_backlog, ("counted-once",), is_slow=True),
)
