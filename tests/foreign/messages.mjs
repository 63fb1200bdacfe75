// Anthropic's own SDK streams an answer, then meets a wrong key. Arguments: base address, key.
import Anthropic from "@anthropic-ai/sdk";

const [baseURL, apiKey] = process.argv.slice(2);
const seen = { deltas: 0, events: [] };
const ask = (key) =>
  new Anthropic({ baseURL, apiKey: key, maxRetries: 0 }).messages.stream({
    model: "claude-haiku-5-5", max_tokens: 195, system: "Eres Clara.",
    messages: [{ role: "user", content: "¿Hacen despachos a regiones?" }],
  });
const stream = ask(apiKey);
stream.on("text", () => (seen.deltas += 1));
stream.on("streamEvent", (event) => seen.events.includes(event.type) || seen.events.push(event.type));
const message = await stream.finalMessage();
Object.assign(seen, { text: message.content.map((block) => block.text).join(""), stop: message.stop_reason, usage: message.usage });
try {
  await ask("wrong").finalMessage();
} catch (error) {
  seen.refused = { name: error.constructor.name, status: error.status, type: error.error?.error?.type };
}
try {
  await ask(apiKey).finalMessage();
} catch (error) {
  seen.overloaded = { status: error.status, type: error.error?.error?.type };
}
console.log(JSON.stringify(seen));
