// A till made of MQTT.js and the contract's section "Slip": the slip and one operation come in as JSON on standard input,
// and what the coordinator says to the operation goes out on standard output.

const crypto = require("node:crypto");
const fs = require("node:fs");
const tls = require("node:tls");
const mqtt = require("mqtt");
const { sell } = require("./sell.js");

/** Returns the certificate that is shown there, PEM. Nothing is sent before it has proved to be the slip's. */
function fetchCertificate(host, port, sha256) {
    return new Promise((resolve, reject) => {
        const looking = tls.connect({ host, port, rejectUnauthorized: false }, () => {
            const { raw } = looking.getPeerCertificate();
            looking.destroy();
            if (crypto.createHash("sha256").update(raw).digest("hex") !== sha256) reject(new Error("another box"));
            else resolve(new crypto.X509Certificate(raw).toString());
        });
        looking.on("error", reject);
    });
}

async function main() {
    const { slip, operation } = JSON.parse(fs.readFileSync(0, "utf8"));
    const url = new URL(slip);
    const ca = await fetchCertificate(url.hostname, Number(url.port), url.searchParams.get("sha256"));
    const client = mqtt.connect(`mqtts://${url.hostname}:${url.port}`, {
        ca,
        checkServerIdentity: () => undefined, // The certificate itself is pinned, whatever names it bears.
        username: url.username,
        password: url.password,
        reconnectPeriod: 0,
    });
    const heard = await sell(client, { shop: url.pathname.slice(1), device: url.username }, operation);
    await client.endAsync();
    console.log(JSON.stringify(heard));
}

main().catch((error) => {
    console.error(error.message);
    process.exit(1);
});
