// Does a port decide as the kit does? It is given each event of each conversation, and what it answers is held
// against what the kit decided. Plain TypeScript without dependencies: Node 22.18 or newer runs it as it stands.
//
//   node check.ts my_port.ts [--only WORD] [--first N] [--json]
//
// WORD: a kind, a preset, an id, or a setting that was turned; "questions" tries which frequent question is asked. Ends with 0 (all alike), 1 (not) or 2 (could not be tried).

import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Command, Event, Settings, State } from "./types.ts";

/** What the decisions know besides their settings: `lexicon.json` and `openers.json`. */
export interface Knowledge {
  readonly lexicon: Readonly<Record<string, readonly string[]>>;
  readonly openers: readonly string[];
}

/** One conversation. `state` is compared where a port has it. */
export interface Port {
  handle(event: Event): readonly Command[];
  readonly state?: State;
}

/** What a port's module has as its default export. */
export type MakePort = (settings: Settings, knows: Knowledge) => Port;

/** What it may export as `lookUp`: the id of the entry of `faq.json` that answers, or null where none surely does. */
export type LookUp = (question: string, scope: Scope, faq: unknown) => string | null;

/** For whom, and on which day; what is missing is not known. */
export interface Scope {
  readonly skin?: string;
  readonly date?: string;
}

type Fields = Record<string, unknown>;
interface Step { in: Fields; out?: Fields[]; state?: string }
interface Vector { id: string; kind: string; preset: string; settings: Fields; steps: Step[] }
interface Difference { id: string; preset: string; step: number; event: Fields; wanted: unknown; got: unknown; why: string }

const HERE = dirname(fileURLToPath(import.meta.url));
const NEAR_MS = 0.001; // numbers are the same up to here
const FOR_PEOPLE: Record<string, readonly string[]> = { Notify: ["message"], RaiseAlert: ["message"] };
const USAGE = "node check.ts my_port.ts [--only WORD] [--first N] [--json]";

class Unusable extends Error {}

function read(name: string): string {
  try {
    return readFileSync(join(HERE, name), "utf8");
  } catch {
    throw new Unusable(`${name} is missing beside check.ts. Export the folder again.`);
  }
}

// --- records: what has its usual value was left out ------------------------------------------------------

const shapes: Record<string, { properties?: Record<string, { default?: unknown }>; required?: string[] }> =
  JSON.parse(read("schema.json")).$defs;

function whole(record: Fields): Fields {
  const fields = shapes[String(record.type)]?.properties ?? {};
  const usual = Object.entries(fields).filter(([, field]) => "default" in field);
  return { ...structuredClone(Object.fromEntries(usual.map(([name, field]) => [name, field.default]))), ...record };
}

/** A command as it is compared: without its time, its reason and what it tells people. */
function bare(command: Fields): Fields {
  const free = ["at_ms", "reason", "by", ...(FOR_PEOPLE[String(command.type)] ?? [])];
  return Object.fromEntries(Object.entries(whole(command)).filter(([name, v]) => v !== undefined && !free.includes(name)));
}

function same(a: unknown, b: unknown): boolean {
  if (typeof a === "number" && typeof b === "number") return Math.abs(a - b) <= NEAR_MS;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => name in b && same((a as Fields)[name], (b as Fields)[name]));
}

// --- one conversation ---------------------------------------------------------------------------------------

/** The first step in which the port decides otherwise, if there is one. A port may name its timers as it likes. */
function difference(vector: Vector, make: MakePort, settings: Fields, knows: Knowledge): Difference | undefined {
  const timers = new Map<unknown, unknown>();
  let state = "IDLE";
  let port: Port | undefined;
  for (const [n, step] of vector.steps.entries()) {
    const event = structuredClone(whole(step.in));
    const wanted = step.out ?? [];
    state = step.state ?? state;
    const told = (w: unknown, got: unknown, why: string): Difference =>
      ({ id: vector.id, preset: vector.preset, step: n, event: step.in, wanted: w, got, why });
    if (event.type === "TimerFired") event.timer_id = timers.get(event.timer_id) ?? event.timer_id;
    let out: readonly Command[];
    try {
      port ??= make(structuredClone(settings) as unknown as Settings, knows);
      out = port.handle(event as unknown as Event);
    } catch (error) {
      return told(wanted, String(error), "the port raised an error");
    }
    if (!Array.isArray(out)) return told(wanted, String(out), "handle must return an array of commands, at once");
    for (let i = 0; i < Math.max(wanted.length, out.length); i++) {
      const [w, g] = [wanted[i], out[i] as unknown as Fields | undefined];
      if (w === undefined) return told("nothing more", g, "one command too many");
      if (g === undefined || g === null) return told(w, "nothing more", String(w.reason ?? ""));
      const [as, is] = [bare(w), bare(g)];
      if (as.type === "SetTimer" && is.type === "SetTimer") {
        timers.set(as.timer_id, is.timer_id);
        as.timer_id = is.timer_id;
      } else if (as.type === "CancelTimer") as.timer_id = timers.get(as.timer_id) ?? as.timer_id;
      if (!same(as, is)) return told(w, g, String(w.reason ?? ""));
    }
    if (port.state !== undefined && port.state !== state) return told(state, port.state, "the state");
  }
  return undefined;
}

// --- all of them ------------------------------------------------------------------------------------------------

function settingsOf(vector: Vector, presets: Record<string, Fields>): Fields {
  const settings = structuredClone(presets[vector.preset]);
  if (settings === undefined) throw new Unusable(`settings.json has no preset ${vector.preset}. Export the folder again.`);
  const flags = settings.flags as Fields;
  for (const [name, value] of Object.entries(vector.settings)) (name in flags ? flags : settings)[name] = value;
  return settings;
}

function concerns(vector: Vector, word: string): boolean {
  return [vector.id, vector.kind, vector.preset, ...Object.keys(vector.settings)].includes(word);
}

async function load(path: string): Promise<{ default: MakePort; lookUp?: LookUp }> {
  let module: { default?: unknown; lookUp?: LookUp };
  try {
    module = await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    throw new Unusable(`${path} cannot be loaded: ${String(error)}`);
  }
  if (typeof module.default !== "function") throw new Unusable(`${path} has no default export (settings, knows) => port.`);
  return module as { default: MakePort; lookUp?: LookUp };
}

/** A wrong answer is worse than a slow one: where the kit asks the model, or answers otherwise, a port must not answer. */
function asked(lookUp: LookUp): number {
  const faq: unknown = JSON.parse(read("faq.json"));
  const all: { question: string; scope: Scope; entry: string | null; why: string }[] = lines("questions.jsonl");
  let [found, missed, wrong] = [0, 0, 0];
  for (const { question, scope, entry, why } of all) {
    const got = lookUp(question, structuredClone(scope), faq) ?? null;
    if (got === entry) found += entry === null ? 0 : 1;
    else if (got === null) missed += 1;
    else if (++wrong <= 10) console.log(`wrong: «${question}» is no question of ${got}. The kit: ${entry ?? "asks the model"}; ${why}`);
  }
  console.log(`${all.length} questions: ${found} found, ${missed} left to the model that the kit answers itself, ${wrong} wrong.`);
  return wrong === 0 ? 0 : 1;
}

function lines<T>(name: string): T[] {
  return read(name).split("\n").filter(Boolean).map((line) => JSON.parse(line) as T);
}

function told(record: unknown): string {
  return typeof record === "string" ? record : JSON.stringify(record);
}

function show(tried: Vector[], found: Map<string, Difference>): void {
  for (const kind of new Set(tried.map((v) => `${v.kind}, ${v.preset}`))) {
    const of = tried.filter((v) => `${v.kind}, ${v.preset}` === kind);
    console.log(`${kind}: ${of.filter((v) => !found.has(v.id)).length} of ${of.length} alike`);
  }
  const often = new Map<string, number>();
  for (const one of found.values()) {
    const wanted = (one.wanted as Fields)?.type ?? "nothing more";
    const what = `${one.event.type}: the kit gives ${wanted}, the port ${(one.got as Fields)?.type ?? told(one.got)}`;
    often.set(what, (often.get(what) ?? 0) + 1);
  }
  const sorted = [...often].sort((a, b) => b[1] - a[1]);
  for (const [what, times] of sorted.slice(0, 10)) console.log(`${times} begin to differ at ${what}`);
  const first = [...found.values()].sort((a, b) => a.step - b.step)[0];
  if (first === undefined) return;
  console.log(`\nThe soonest: ${first.id} (${first.preset}), step ${first.step}`);
  const steps = tried.find((v) => v.id === first.id)!.steps.slice(Math.max(0, first.step - 3), first.step);
  for (const step of steps) console.log(`  before: ${told(step.in)}`);
  console.log(`  event:  ${told(first.event)}\n  kit:    ${told(first.wanted)}\n  port:   ${told(first.got)}\n  why:    ${first.why}`);
}

async function main(args: string[]): Promise<number> {
  const given = (name: string): string | undefined => (args.includes(name) ? (args[args.indexOf(name) + 1] ?? "") : undefined);
  const [path] = args;
  if (path === undefined || path.startsWith("--")) throw new Unusable(USAGE);
  const { default: make, lookUp } = await load(path);
  if (given("--only") === "questions") {
    if (lookUp === undefined) throw new Unusable(`${path} exports no lookUp(question, scope, faq).`);
    return asked(lookUp);
  }
  const [manifest, settings] = [JSON.parse(read("manifest.json")), JSON.parse(read("settings.json"))];
  const knows: Knowledge = { lexicon: JSON.parse(read("lexicon.json")), openers: JSON.parse(read("openers.json")) };
  const all: Vector[] = lines("vectors.jsonl");
  if (all.length !== manifest.conversations)
    throw new Unusable(`vectors.jsonl has ${all.length} conversations of ${manifest.conversations}. Export the folder again.`);
  const [only, first] = [given("--only"), given("--first")];
  const chosen = all.filter((vector) => only === undefined || concerns(vector, only));
  const tried = chosen.slice(0, first === undefined ? undefined : Number(first));
  if (tried.length === 0) throw new Unusable(`No conversation is called ${only}: nothing was tried. ${USAGE}`);
  const found = new Map<string, Difference>();
  for (const vector of tried) {
    const one = difference(vector, make, settingsOf(vector, settings.presets), knows);
    if (one !== undefined) found.set(vector.id, one);
  }
  const alike = tried.filter((vector) => !found.has(vector.id)).map((vector) => vector.id);
  if (args.includes("--json")) console.log(JSON.stringify({ tried: tried.length, alike, differences: [...found.values()] }));
  else {
    show(tried, found);
    console.log(`\n${alike.length} of ${tried.length} conversations alike${tried.length < all.length ? ` (of ${all.length} that there are)` : ""}.`);
  }
  return found.size === 0 ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Unusable)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
