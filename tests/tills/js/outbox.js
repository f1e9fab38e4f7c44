// What a till must not forget, in one file: its epoch, the operations that it keeps, and epochs parked under other ledgers.
//
// Every change replaces the file as a whole: written beside it, synced, renamed. So it is the state before or the state
// after, never half of it, and a sale is on the disk before a person reads that it is done. A till with thousands of
// sales a day would append instead; this one is to be read.

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const KEPT_MAX = 20000; // Acked operations that are kept for a restored box.
const PARENTS_MAX = 64;

const newEpoch = (ledger, parents = [], why = null) => ({
    epoch: crypto.randomBytes(16).toString("hex"),
    ledger, // null until a coordinator has answered.
    parents,
    why,
    last: 0,
    acked: 0,
    gone: { seq: 0, tag: null }, // The newest operation that was trimmed.
    kept: [], // {seq, tag, text, isAcked}, in order; `text` are the bytes that are sent, and sent again.
});

class Outbox {
    constructor(directory, device) {
        this.path = path.join(directory, "outbox.json");
        if (fs.existsSync(this.path)) {
            this.state = JSON.parse(fs.readFileSync(this.path, "utf8"));
            if (this.state.device !== device) throw new Error(`this is the outbox of ${this.state.device}, not of ${device}`);
        } else {
            this.state = { device, now: newEpoch(null), parked: [], heard: { run: "0", rev: 0, shopMs: 0, upMs: 0 }, rejected: [] };
            this.save();
        }
    }

    get now() {
        return this.state.now;
    }

    get pending() {
        return this.now.last - this.now.acked;
    }

    save() {
        const beside = `${this.path}.part`;
        const file = fs.openSync(beside, "w", 0o600);
        fs.writeSync(file, JSON.stringify(this.state));
        fs.fsyncSync(file);
        fs.closeSync(file);
        fs.renameSync(beside, this.path);
        const directory = fs.openSync(path.dirname(this.path), "r");
        fs.fsyncSync(directory);
        fs.closeSync(directory);
    }

    /** Keeps one operation. heard: the tick behind its stamp, from which the next start goes on. */
    add(fields, heard) {
        const { now } = this;
        const operation = { seq: now.last + 1, tag: crypto.randomBytes(8).toString("hex"), ...fields };
        if (operation.seq === 1) Object.assign(operation, origin(now));
        now.last = operation.seq;
        now.kept.push({ seq: operation.seq, tag: operation.tag, text: JSON.stringify(operation), isAcked: false });
        this.state.heard = heard;
        this.save();
    }

    /** Returns the own tag at a place of this epoch, undefined when there is none. */
    tagAt(seq) {
        const { gone, kept } = this.now;
        return seq === gone.seq ? gone.tag : kept.find((operation) => operation.seq === seq)?.tag;
    }

    behind(seq) {
        return this.now.kept.filter((operation) => operation.seq > seq);
    }

    /** Takes an ack of this epoch. Returns whether the till has forked. */
    acknowledge(ack) {
        const { now } = this;
        if (ack.seq < now.gone.seq) return this.fork("history-gap");
        if (ack.seq > 0 && this.tagAt(ack.seq) !== ack.tag) return this.fork();
        for (const operation of now.kept) {
            // A restored box acks less than before: what lies between is not on its disk any more.
            if (operation.seq > Math.min(ack.seq, now.acked) && operation.seq <= Math.max(ack.seq, now.acked)) {
                operation.isAcked = operation.seq <= ack.seq;
            }
        }
        now.acked = ack.seq;
        for (const { seq, tag, code } of ack.rejected ?? []) {
            const isNews = !this.state.rejected.some((known) => known.tag === tag);
            if (isNews && this.tagAt(seq) === tag) this.state.rejected.push({ seq, tag, code });
        }
        const through = Math.max(Math.min(ack.safe ?? 0, ack.seq), ack.seq - KEPT_MAX);
        if (through > now.gone.seq) {
            now.gone = { seq: through, tag: this.tagAt(through) };
            now.kept = this.behind(through);
        }
        this.save();
        // A refusal of a clone's operation comes on the same topic; it is not this till's.
        return ack.refused && this.tagAt(ack.refused.seq) === ack.refused.tag ? this.fork() : false;
    }

    /** Leaves an epoch whose names are not this till's alone. */
    fork(why = untold(this.now)) {
        const { now } = this;
        this.state.now = requeued(now.kept, now.ledger, lineage(now), why);
        this.save();
        return true;
    }

    isParked(ledger) {
        return this.state.parked.some((epoch) => epoch.ledger === ledger);
    }

    /** Follows another ledger: parks this epoch, and takes along what was never acked and what is parked there. */
    follow(ledger) {
        const { now, parked } = this.state;
        const returning = parked.filter((epoch) => epoch.ledger === ledger);
        const kept = [...returning.flatMap((epoch) => epoch.kept), ...now.kept.filter((operation) => !operation.isAcked)];
        const why = returning.map(untold).find(Boolean) ?? null;
        this.state.parked = [...parked.filter((epoch) => epoch.ledger !== ledger), now];
        this.state.now = requeued(kept, ledger, [...lineage(now), ...returning.flatMap(lineage)], why);
        this.save();
    }
}

/** What operation 1 of an epoch says of where it comes from. */
const origin = ({ parents, why }) => ({ ...(parents.length && { parents }), ...(why && { why }) });

/** A fork of an epoch comes from it and, while its operation 1 is kept, from its own parents. */
const lineage = ({ epoch, parents, gone }) => [epoch, ...(gone.seq === 0 ? parents : [])];

/** Why an epoch was made, as long as nobody has heard it. */
const untold = ({ why, acked }) => (acked === 0 ? why : null);

/** Returns a new epoch with these operations, renumbered; each keeps its tag and stamp, and comes once. */
function requeued(kept, ledger, parents, why) {
    const epoch = newEpoch(ledger, [...new Set(parents)].slice(0, PARENTS_MAX), why);
    const tags = new Set();
    for (const { tag, text, isAcked } of kept) {
        if (tags.has(tag)) continue;
        tags.add(tag);
        const { parents: _parents, why: _why, ...operation } = JSON.parse(text);
        Object.assign(operation, { seq: tags.size, again: true }, tags.size === 1 ? origin(epoch) : {});
        epoch.kept.push({ seq: operation.seq, tag, text: JSON.stringify(operation), isAcked });
    }
    epoch.last = tags.size;
    return epoch;
}

module.exports = { Outbox };
