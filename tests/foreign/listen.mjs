// Deepgram's own SDK listens to raw linear16 from a file, at the pace of sound. Arguments: base address, key, file.
import { readFileSync } from "node:fs";
import { DeepgramClient } from "@deepgram/sdk";

const [base, key, file] = process.argv.slice(2);
const socket = base.replace("http", "ws");
const client = new DeepgramClient({ apiKey: key, environment: { base, production: socket, agent: socket, agentRest: base } });
const seen = { opened: false, interim: 0, finals: [], words: 0, types: [], closed: null };
const connection = await client.listen.v1.connect({
  model: "nova-3", language: "es-419", encoding: "linear16", sample_rate: 16000, channels: 1, interim_results: "true",
  smart_format: "true", endpointing: 300, utterance_end_ms: 1000, vad_events: "true", shouldReconnect: () => false,
});
connection.on("open", () => (seen.opened = true));
connection.on("message", (message) => {
  if (!seen.types.includes(message.type)) seen.types.push(message.type);
  if (message.type !== "Results") return;
  const best = message.channel.alternatives[0];
  if (!message.is_final) seen.interim += best.transcript ? 1 : 0;
  else if (best.transcript) {
    seen.finals.push(best.transcript);
    seen.words += best.words.length;
  }
});
const closed = new Promise((resolve) => connection.on("close", (event) => resolve(event?.code ?? 0)));
connection.on("error", (error) => (seen.error = String(error.message ?? error)));
connection.connect();
await connection.waitForOpen();
connection.sendKeepAlive({ type: "KeepAlive" });
const pcm = readFileSync(file);
for (let at = 0; at < pcm.length; at += 640) {
  connection.sendMedia(pcm.subarray(at, at + 640));
  await new Promise((resolve) => setTimeout(resolve, 15));
}
connection.sendCloseStream({ type: "CloseStream" });
seen.closed = await Promise.race([closed, new Promise((resolve) => setTimeout(() => resolve("never"), 5000))]);
console.log(JSON.stringify(seen));
process.exit(0);
