"""What the wire contract asks of a till, rule by rule: a short name that stays, its paragraph, and its words.

Which scene shows a rule stands with the scene (`scenes`), and what is judged of everything a till says, in `habits`.
"""

from dataclasses import dataclass

CONTRACT = "appliance/contract/README.md"


@dataclass(frozen=True, slots=True)
class Rule:
    """paragraph: a heading of the contract, as its anchor. asks: what a till must do."""

    name: str
    paragraph: str
    asks: str


RULES = (
    Rule("clean-session", "connecting", "CONNECT asks for a clean session"),
    Rule("keep-alive", "connecting", "CONNECT says a keep-alive of 1 to 60 s"),
    Rule("last-will", "connecting", 'the last will is device/{device}/state, retained, {"state":"offline"}'),
    Rule("comes-back", "connecting", "after CONNACK 3 it comes back later"),
    Rule("no-qos-2", "connecting", "nothing is published with QoS 2"),
    Rule("own-topics", "what-a-device-may-do", "it publishes only state, op and query under its own device/{device}/"),
    Rule("allowed-filters", "what-a-device-may-do", "no subscription can match what is not for it"),
    Rule("op-not-retained", "topics", "op is not retained"),
    Rule("epoch", "operations", "an epoch is 16 to 64 of A-Z, a-z, 0-9 and -, random, and no other outbox's"),
    Rule("seq", "operations", "seq counts the operations of an epoch from 1, without gaps"),
    Rule("tag", "operations", "from seq 2 on there is a tag: 16 lower-case hex digits, another for each operation"),
    Rule("after", "identity-and-order", "a message that begins behind seq 1 says after: the tag of the one before it"),
    Rule("message-size", "limits", "a message has at most 500 operations and 256 KiB, an operation 64 KiB"),
    Rule("well-formed", "bad-messages", "nothing that it says is rejected or put into quarantine"),
    Rule("checked-before-seq", "limits", "what the box would reject is refused before a seq is spent on it"),
    Rule("sku-verbatim", "topics", "a SKU is sent as it is: unencoded, no folding, no normalisation"),
    Rule("exact-quantity", "values", "quantities are decimals of thousandths, and never floats"),
    Rule("unknown-keys", "values", "keys that it doesn't know are ignored, and null is the same as absent"),
    Rule("identical-resend", "identity-and-order", "a resend is byte-identical: same seq, tag, stamp and fields"),
    Rule("counted-once", "identity-and-order", "every sale that it has confirmed is counted, and once"),
    Rule("sells-offline", "the-wire-contract-version-1", "it sells when nobody hears it"),
    Rule("survives-restart", "the-wire-contract-version-1", "what it has confirmed outlives its process"),
    Rule("gap-resend", "identity-and-order", "on a gap it sends again from the ack's seq + 1"),
    Rule("gap-once", "identity-and-order", "and does so once for each acked seq and handshake"),
    Rule("stamp-both", "operations", "run and shop_ms: both or none"),
    Rule("stamp-time", "shop-time", "shop_ms is a tick plus the time since, never ahead of the box's clock"),
    Rule("uncertain", "shop-time", "without a tick within 2.5 s of its state, since it started, a stamp is uncertain"),
    Rule("seen", "shop-time", "seen is the highest revision that it has heard in that run, and no higher"),
    Rule("state-first", "handshake-and-acks", "on each connection it first says its state, retained and whole"),
    Rule("waits-for-ack", "handshake-and-acks", "no operation is sent before the ack of its epoch has been heard"),
    Rule("new-run", "handshake-and-acks", "a tick of a new run makes it shake hands again"),
    Rule("late-ack", "handshake-and-acks", "30 s without an ack make it shake hands again"),
    Rule("says-drained", "handshake-and-acks", "when its backlog has drained it says so in its state"),
    Rule("only-ack-confirms", "handshake-and-acks", "nothing but an ack confirms: no PUBACK does"),
    Rule("cumulative-ack", "handshake-and-acks", "one ack confirms everything through its seq"),
    Rule("other-epoch", "handshake-and-acks", "an ack of another epoch says nothing"),
    Rule("old-ack", "handshake-and-acks", "an older ack that comes again does no harm"),
    Rule("keeps-beyond-safe", "handshake-and-acks", "acked operations beyond safe are kept, and heal a restored box"),
    Rule("rejected-settled", "codes", "a rejected operation is settled: it is not sent again, and blocks nothing"),
    Rule("shows-rejected", "codes", "what was rejected is shown to a person"),
    Rule("fork-foreign-tag", "forks", "it forks when an ack's tag is foreign to it"),
    Rule("fork-refused", "forks", "it forks when it is refused"),
    Rule("fork-history-gap", "forks", "it forks, and says why, when it no longer holds the acked seq + 1"),
    Rule("fork-keeps-all", "forks", "a fork sends everything that is still kept, in order, renumbered from 1"),
    Rule("fork-keeps-tags", "forks", "a fork's operations have their original tags and stamps"),
    Rule("fork-marks-again", "forks", 'a fork\'s operations are marked "again":true'),
    Rule("fork-names-parents", "forks", "operation 1 of a fork names its parents, the newest first"),
    Rule("other-ledger-silent", "another-ledger", "another ledger gets no operation until a person agrees"),
    Rule("other-ledger-accepted", "another-ledger", "then it gets what was never acked, again, in a new epoch"),
    Rule("ledger-returns", "another-ledger", "when a ledger returns, everything parked under it is sent again"),
    Rule("bound-to-device", "another-ledger", "an outbox is not sent under another device's name"),
    Rule("receipt-whole", "receipt", "a receipt is one operation with all its lines"),
    Rule("receipt-identity", "receipt", "a receipt's identity is unique in the shop for ever"),
    Rule("count", "count", "a count is an anchor: what was sold before it is in it"),
    Rule("shows-balance", "reading", "it shows the balance that the box has"),
    Rule("duplicates", "following", "changes that come twice count once"),
    Rule("reordered", "following", "changes in the wrong order do no harm, and what was missed is asked for"),
    Rule("catches-up", "following", "after an absence it shows what has changed meanwhile"),
    Rule("asks-on", "asking", "while more is true it asks again, since = to"),
    Rule("replaces-copy", "asking", "an answer from 0 replaces its copy: a restored box has less"),
)
"""In the order of the contract's way of a sale; the report keeps it."""

BY_NAME = {rule.name: rule for rule in RULES}
