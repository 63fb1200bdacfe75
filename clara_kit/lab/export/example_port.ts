// Where a port begins: it greets, listens, and waits for whoever is quiet; no more. Copy it, and let `check.ts` say what is next.

import type { Command, Event, Settings } from "./types.ts";
import type { MakePort, Port } from "./check.ts";

class Conversation implements Port {
  readonly settings: Settings;
  #timers = 0;
  #utterances = 0;
  #turns = 0;
  #over = false;

  constructor(settings: Settings) {
    this.settings = settings;
  }

  handle(event: Event): Command[] {
    if (this.#over) return [];
    switch (event.type) {
      case "ConversationStarted":
        return [{ type: "StartListening" }];
      case "ConversationStopped":
        this.#over = true;
        return [{ type: "StopListening" }];
      default:
        return [];
    }
  }
}

const make: MakePort = (settings) => new Conversation(settings);
export default make;
