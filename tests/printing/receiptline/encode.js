// Standard input: {"columns": 32, "document": "…"} in receiptline's own notation. Standard output: its bytes, in hex.
const { readFileSync } = require("node:fs");
const { transform } = require("receiptline");

const { columns, document } = JSON.parse(readFileSync(0, "utf8"));
const job = transform(document, { cpl: columns, encoding: "cp866", command: "generic", spacing: false, cutting: false });
process.stdout.write(Buffer.from(job, "latin1").toString("hex"));
