// Where a port begins: right for the conversations of the kind "first", and for no others. Copy it, and let `check.ts` say
// what is next. Questions are typed, answers are spoken when they are whole, nobody interrupts and nothing fails.

import type { MakePort, Port } from "./check.ts";
import type { Command, ConversationStarted, Event, Message, Settings, State, TextTyped } from "./types.ts";

const CONNECTED = "(La persona se acaba de conectar.)"; // what a model answers that greets first
const NONE: Command[] = [];

class Conversation implements Port {
  state: State = "IDLE";
  readonly #settings: Settings;
  #history: Message[] = [];
  #turns = 0;
  #replies = 0;
  #utterances = 0;
  #timers = 0;
  #reply = "";
  #said = ""; // what the utterance says that is asked for
  #slow = ""; // the timer that would tell that Clara is late

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  handle(event: Event): Command[] {
    switch (event.type) {
      case "ConversationStarted": return this.#started(event);
      case "TextTyped": return this.#typed(event);
      case "ReplyDelta": this.#reply += event.text; return NONE;
      case "ReplyCompleted": return this.#speak(this.#reply.trim());
      case "SpeakingStarted": return this.#heard();
      case "SpeakingEnded": this.state = "IDLE"; return NONE;
      case "ConversationStopped": return [{ type: "StopListening" }];
      default: return NONE;
    }
  }

  #started(event: ConversationStarted): Command[] {
    const greeted = event.greeting === "" ? NONE : this.#speak(event.greeting);
    return [{ type: "StartListening" }, ...greeted];
  }

  #typed(event: TextTyped): Command[] {
    this.state = "PROCESSING";
    this.#reply = "";
    this.#slow = `slow#${++this.#timers}`;
    this.#history.push({ role: "user", text: event.text });
    const due_ms = event.at_ms + this.#settings.slow_response_ms;
    return [
      { type: "RequestReply", turn_id: ++this.#turns, reply_id: ++this.#replies, text: event.text, messages: [...this.#history] },
      { type: "SetTimer", timer_id: this.#slow, due_ms },
    ];
  }

  #speak(text: string): Command[] {
    this.#said = text;
    const utterance_id = ++this.#utterances;
    return [{ type: "Speak", turn_id: this.#turns, utterance_id, piece_no: 0, text }, { type: "EndSpeech", utterance_id }];
  }

  /** Only what is heard becomes history. */
  #heard(): Command[] {
    if (this.#history.length === 0) this.#history.push({ role: "user", text: CONNECTED });
    this.#history.push({ role: "assistant", text: this.#said });
    this.state = "AVATAR_SPEAKING";
    const timer_id = this.#slow;
    this.#slow = "";
    return timer_id === "" ? NONE : [{ type: "CancelTimer", timer_id }];
  }
}

const make: MakePort = (settings) => new Conversation(settings);
export default make;
