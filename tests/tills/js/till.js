// A till in JavaScript, on MQTT.js, written from the wire contract alone: appliance/contract/README.md.
//
//     person ─▶ Till.sell ─▶ outbox (on disk) ─▶ handshake ─▶ op … ack ─▶ outbox
//     screen ◀─ Till.balance ◀─ copy (query, then changes) + what was never acked
//
// Node has no second thread here: every message, timer and sale is handled to its end before the next one.

const crypto = require("node:crypto");
const os = require("node:os");
const mqtt = require("../../access/mqttjs/node_modules/mqtt"); // Installed by scripts/setup for another test.
const { Outbox } = require("./outbox.js");

const ACK_MS = 30000;
const FRESH_MS = 2500;
const BATCH = 100; // Operations in a message: 64 KiB each at most, but a sale has some hundred bytes.
const BATCH_BYTES = 64 * 1024;
const BACKOFF_MS = [500, 30000];
const QUANTITY = /^\d{1,9}(\.\d{1,3})?$/;

/** Milliseconds on a clock that runs while the device sleeps. */
const upMs = () => Math.round(os.uptime() * 1000);

/** A quantity in thousandths, and back; balances are exact as numbers, up to 9e15. */
const toMilli = (text) => {
    const [, sign, whole, fraction = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
    return Number(sign + whole + fraction.padEnd(3, "0"));
};
const fromMilli = (milli) => {
    const [whole, fraction] = [Math.floor(Math.abs(milli) / 1000), Math.abs(milli) % 1000];
    const text = fraction ? `${whole}.${String(fraction).padStart(3, "0").replace(/0+$/, "")}` : `${whole}`;
    return milli < 0 ? `-${text}` : text;
};

class Till {
    constructor({ host, port, shop, device, password, directory }) {
        this.outbox = new Outbox(directory, device);
        this.address = { host, port, username: device, password };
        this.root = `stock/v1/${shop}/`;
        this.own = `${this.root}device/${device}/`;
        this.backoffMs = BACKOFF_MS[0];
        this.copy = { run: null, rev: 0, rows: new Map() };
        this.otherLedger = null;
        this.phase = "away"; // "greeting": its state is said. "ready": the ack of its epoch has answered that.
        const { run, rev, shopMs, upMs: thenMs } = this.outbox.state.heard;
        // After a restart shop time goes on from the last tick that was kept, as far as the clock can tell; uncertain.
        this.time = { run, rev, offsetMs: shopMs - Math.min(thenMs, upMs()), isHeard: false, isCertain: false };
        this.connect();
        setInterval(() => this.elapsed(), 1000);
    }

    // --- what a person does: on the disk when it returns, with or without a network. Throws what the box would reject.

    sell(sku, qty) {
        this.make({ type: "move", sku: checkedSku(sku), qty: `-${checkedQty(qty)}`, reason: "sale" });
    }

    receipt(lines) {
        if (lines.length < 1 || lines.length > 500) throw new Error("a receipt has 1 to 500 lines");
        const checked = lines.map(({ sku, qty }) => ({ sku: checkedSku(sku), qty: checkedQty(qty) }));
        this.make({ type: "receipt", receipt: crypto.randomUUID(), kind: "sale", status: "paid", lines: checked });
    }

    count(sku, counted) {
        this.make({ type: "count", sku: checkedSku(sku), counted: checkedQty(counted) });
    }

    make(fields) {
        const { run, rev, isCertain } = this.time;
        const shopMs = this.shopMs();
        const stamp = { run, shop_ms: shopMs, seen: rev, ...(isCertain ? {} : { uncertain: true }) };
        const operation = { ...stamp, at: new Date().toISOString(), ...fields };
        if (Buffer.byteLength(JSON.stringify(operation)) > 56 * 1024) throw new Error("too large for one operation");
        this.outbox.add(operation, { run, rev, shopMs, upMs: upMs() });
        this.send();
    }

    /** A person agrees that another ledger is this till's from now on. */
    accept(ledger) {
        if (ledger !== this.outbox.now.ledger) this.follow(ledger);
    }

    /** What there is: the box's balance, and what was never acked on top of it. null when nobody has told. */
    balance(sku) {
        let milli = this.copy.rows.has(sku) ? toMilli(this.copy.rows.get(sku).on_hand) : null;
        for (const { text, isAcked } of this.outbox.now.kept) {
            if (isAcked) continue;
            const operation = JSON.parse(text);
            const lines = operation.lines ?? [operation];
            for (const line of lines.filter((one) => one.sku === sku)) {
                if (operation.type === "count") milli = toMilli(line.counted);
                else milli = (milli ?? 0) + (operation.type === "receipt" ? -1 : 1) * toMilli(line.qty);
            }
        }
        return milli === null ? null : fromMilli(milli);
    }

    // --- the connection: a new client each time, so that nothing waits in one to be sent before the handshake

    connect() {
        const will = { topic: `${this.own}state`, payload: '{"state":"offline"}', qos: 1, retain: true };
        const client = mqtt.connect({ ...this.address, protocol: "mqtt", clean: true, keepalive: 30, reconnectPeriod: 0, will });
        this.client = client;
        const topics = ["coordinator", "tick", "changes"].map((topic) => this.root + topic);
        topics.push(`${this.own}ack`, `${this.own}answer`);
        client.on("error", () => {}); // "close" follows.
        client.on("connect", () => {
            this.run = null; // Of the coordinator, on this connection.
            this.otherLedger = null;
            client.subscribe(topics, { qos: 1 }, (error, granted) => {
                if (error || granted.some(({ qos }) => qos > 1)) return client.end(true);
                this.backoffMs = BACKOFF_MS[0];
                return this.greet();
            });
        });
        client.on("message", (topic, payload) => this.hear(topic, payload));
        client.on("close", () => {
            this.client = null;
            this.phase = "away";
            client.end(true);
            setTimeout(() => this.connect(), this.backoffMs * (0.5 + Math.random() / 2));
            this.backoffMs = Math.min(2 * this.backoffMs, BACKOFF_MS[1]);
        });
    }

    publish(leaf, text, retain = false) {
        this.client?.publish(this.own + leaf, text, { qos: 1, retain });
    }

    // --- handshake and acks

    greet() {
        this.phase = "greeting";
        this.resentFrom = new Set();
        this.asked = null;
        this.sayState();
    }

    sayState() {
        const { epoch, last } = this.outbox.now;
        this.waitingMs = upMs();
        this.askedMs = upMs();
        this.toldPending = this.outbox.pending;
        this.publish("state", JSON.stringify({ state: "online", epoch, seq: last, pending: this.toldPending, app: "js-till" }), true);
    }

    elapsed() {
        const isWaiting = this.phase === "greeting" || (this.phase === "ready" && this.outbox.pending > 0);
        if (isWaiting && !this.otherLedger && upMs() - this.waitingMs >= ACK_MS) this.greet();
    }

    hear(topic, payload) {
        let said;
        try {
            said = JSON.parse(payload.toString());
        } catch {
            return; // A retained message was cleared, or nobody can read it: it says nothing.
        }
        if (topic === `${this.root}tick`) this.hearTick(said);
        else if (topic === `${this.root}coordinator` && said.state === "online") this.meet(said);
        else if (topic === `${this.root}changes`) this.hearChanges(said);
        else if (topic === `${this.own}ack`) this.hearAck(said);
        else if (topic === `${this.own}answer`) this.hearAnswer(said);
    }

    /** Learns which ledger serves in which run. Returns whether it may be talked to as before. */
    meet({ ledger, run, rev }) {
        this.saw(run, rev);
        if (this.isOther(ledger)) return false;
        const isNews = this.otherLedger !== null || (this.run !== null && this.run !== run);
        this.run = run;
        this.otherLedger = null;
        if (isNews && this.phase !== "away") this.greet();
        return !isNews;
    }

    isOther(ledger) {
        const own = this.outbox.now.ledger;
        if (own === null || own === ledger) return false;
        if (this.outbox.isParked(ledger)) this.follow(ledger);
        else this.otherLedger = ledger;
        return true;
    }

    follow(ledger) {
        this.outbox.follow(ledger);
        this.copy = { run: null, rev: 0, rows: new Map() };
        this.otherLedger = null;
        this.run = null;
        if (this.phase !== "away") this.greet();
    }

    hearAck(ack) {
        const { now } = this.outbox;
        // Before its state the till hears the retained ack, which answers nothing.
        if (this.phase === "away" || ack.epoch !== now.epoch || this.isOther(ack.ledger)) return;
        now.ledger ??= ack.ledger; // acknowledge() puts it on the disk.
        const before = now.acked;
        if (this.outbox.acknowledge(ack)) {
            this.greet();
            return;
        }
        if (this.phase === "greeting") {
            this.phase = "ready";
            this.sentSeq = ack.seq;
            this.ask();
        } else if ((ack.gap || ack.seq < before) && !this.resentFrom.has(ack.seq)) {
            this.resentFrom.add(ack.seq);
            this.sentSeq = ack.seq;
        }
        if (ack.seq > before) this.waitingMs = upMs();
        this.send();
        if (this.toldPending && !this.outbox.pending) this.sayState();
    }

    /** Sends the next message when the one before it is acked: a single operation when idle, a batch behind a backlog. */
    send() {
        const { epoch, acked } = this.outbox.now;
        if (this.phase !== "ready" || this.otherLedger || this.sentSeq > acked) return;
        const batch = [];
        let bytes = 0;
        for (const operation of this.outbox.behind(this.sentSeq).slice(0, BATCH)) {
            bytes += Buffer.byteLength(operation.text);
            if (batch.length && bytes > BATCH_BYTES) break;
            batch.push(operation);
        }
        if (!batch.length) return;
        const after = batch[0].seq > 1 ? `"after":"${this.outbox.tagAt(batch[0].seq - 1)}",` : "";
        this.sentSeq = batch.at(-1).seq;
        this.waitingMs = upMs();
        this.publish("op", `{"epoch":"${epoch}",${after}"ops":[${batch.map(({ text }) => text).join(",")}]}`);
    }

    // --- shop time

    hearTick(tick) {
        const own = this.outbox.now.ledger;
        if (own === null || own === tick.ledger) {
            const { time } = this;
            const offsetMs = tick.shop_ms - upMs();
            if (time.run !== tick.run) this.time = { run: tick.run, rev: 0, offsetMs, isHeard: true, isCertain: false };
            else Object.assign(time, { offsetMs: time.isHeard ? Math.max(time.offsetMs, offsetMs) : offsetMs, isHeard: true });
            if (upMs() - this.askedMs <= FRESH_MS) this.time.isCertain = true;
        }
        // Last: a tick that makes the till shake hands has not answered the state that this causes.
        if (this.meet(tick) && this.phase === "ready" && (this.copy.run !== tick.run || tick.rev > this.copy.rev)) this.ask();
    }

    saw(run, rev) {
        if (run === this.time.run) this.time.rev = Math.max(this.time.rev, rev);
    }

    shopMs() {
        return Math.max(0, upMs() + this.time.offsetMs);
    }

    // --- balances

    ask() {
        if (this.asked) return;
        this.next = { ...this.copy };
        this.askPage();
    }

    askPage() {
        const { run, rev } = this.next;
        this.asked = crypto.randomUUID();
        this.publish("query", JSON.stringify({ id: this.asked, what: "balances", since: rev, ...(run && { run }) }));
    }

    hearAnswer({ id, run, from, to, more, items }) {
        if (id !== this.asked) return;
        this.asked = null;
        if (items === undefined) return; // An error; the next tick shows what is missing.
        this.saw(run, to);
        const isContinued = from === this.next.rev && this.next.run !== null;
        const rows = isContinued ? this.next.rows : new Map(); // From 0: a new copy, and the old one is shown until then.
        for (const row of items) put(rows, row, this.next.run === run);
        this.next = { run, rev: to, rows };
        if (more) this.askPage();
        else this.copy = this.next;
    }

    hearChanges({ run, from, to, items }) {
        this.saw(run, to);
        if (run !== this.copy.run || from > this.copy.rev) {
            if (this.phase === "ready") this.ask();
        } else if (to > this.copy.rev) {
            for (const row of items) put(this.copy.rows, row, true);
            this.copy.rev = to;
        }
    }
}

/** Within one run a row of a lower revision is older. */
function put(rows, row, isSameRun) {
    if (!isSameRun || !(rows.get(row.sku)?.rev > row.rev)) rows.set(row.sku, row);
}

function checkedSku(sku) {
    const bytes = Buffer.byteLength(sku);
    if (bytes < 1 || bytes > 128) throw new Error(`a SKU has 1 to 128 bytes, this one ${bytes}`);
    return sku;
}

function checkedQty(qty) {
    if (!QUANTITY.test(qty)) throw new Error(`${qty} is no quantity`);
    return qty;
}

module.exports = { Till };
