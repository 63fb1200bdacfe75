// Deepgram's own SDK lets Aura speak over the socket. Arguments: base address, key, text.
import { DeepgramClient } from "@deepgram/sdk";

const [base, key, text] = process.argv.slice(2);
const socket = base.replace("http", "ws");
const client = new DeepgramClient({ apiKey: key, environment: { base, production: socket, agent: socket, agentRest: base } });
const connection = await client.speak.v1.connect({
  model: "aura-2-celeste-es", encoding: "linear16", sample_rate: 24000, shouldReconnect: () => false,
});
const seen = { bytes: 0, types: [] };
const flushed = new Promise((resolve) =>
  connection.on("message", (message) => {
    if (message instanceof Blob) seen.bytes += message.size;
    else if (message instanceof ArrayBuffer || ArrayBuffer.isView(message)) seen.bytes += message.byteLength;
    else {
      seen.types.push(message.type);
      if (message.type === "Flushed") resolve();
    }
  }),
);
connection.connect();
await connection.waitForOpen();
connection.sendText({ type: "Speak", text });
connection.sendFlush({ type: "Flush" });
await flushed;
connection.sendClose({ type: "Close" });
console.log(JSON.stringify(seen));
process.exit(0);
