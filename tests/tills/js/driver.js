// The JavaScript till, driven by scripts/conformance: ../README.md says what is asked and answered.

const readline = require("node:readline");
const { Till } = require("./till.js");

const { TILL_HOST, TILL_PORT, TILL_SHOP, TILL_DEVICE, TILL_PASSWORD, TILL_DIRECTORY } = process.env;
const till = new Till({
    host: TILL_HOST,
    port: Number(TILL_PORT),
    shop: TILL_SHOP,
    device: TILL_DEVICE,
    password: TILL_PASSWORD,
    directory: TILL_DIRECTORY,
});

const done = { done: true };
const answers = {
    sell: ({ sku, qty }) => (till.sell(sku, qty), done),
    receipt: ({ lines }) => (till.receipt(lines), done),
    count: ({ sku, counted }) => (till.count(sku, counted), done),
    accept: ({ ledger }) => (till.accept(ledger), done),
    pending: () => ({ pending: till.outbox.pending }),
    rejected: () => ({ rejected: till.outbox.state.rejected.map(({ code }) => code) }),
    balance: ({ sku }) => ({ on_hand: till.balance(sku) }),
};

readline
    .createInterface({ input: process.stdin })
    .on("line", (line) => {
        const asked = JSON.parse(line);
        let answer = { unknown: true };
        try {
            if (asked.do in answers) answer = answers[asked.do](asked);
        } catch (error) {
            answer = { done: false, why: error.message };
        }
        console.log(JSON.stringify(answer));
    })
    .on("close", () => process.exit());
