// Sells by MQTT.js, under Node and in a browser: subscribes, publishes one operation, and waits for its ack and the balance.

/** Returns the ack of the operation's epoch and the balance of its SKU, as the coordinator sent them. */
function sell(client, { shop, device }, operation) {
    const root = `stock/v1/${shop}/`;
    return new Promise((resolve, reject) => {
        const heard = {};
        client.on("error", reject);
        client.on("message", (topic, payload) => {
            const said = JSON.parse(payload.toString());
            if (topic === `${root}device/${device}/ack` && said.epoch === operation.epoch) heard.ack = said;
            if (topic === `${root}balance/${operation.sku}`) heard.balance = said;
            if (heard.ack && heard.balance) resolve(heard);
        });
        client.on("connect", () => {
            client.subscribe([`${root}device/${device}/ack`, `${root}balance/${operation.sku}`], { qos: 1 }, (error) => {
                if (error) reject(error);
                else client.publish(`${root}device/${device}/op`, JSON.stringify(operation), { qos: 1 });
            });
        });
    });
}

if (typeof module !== "undefined") module.exports = { sell };
