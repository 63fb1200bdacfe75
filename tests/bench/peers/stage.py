"""What both drivers of the ten moments share: the customer, the stand-in model and the notes, in real time.

Run inside the peers' environment; knows neither of the packages. Clara's sound carries in its samples which request it
answers (0 is nothing, 1 the greeting, 2 the first request …), so that whoever plays it can note it.
"""

import asyncio
import base64
import time

import numpy as np

RATE_HZ = 16_000
VOICE_HZ = 24_000
QUIET_MS = 9_000  # a moment is over when nothing has happened for so long: both packages' timeouts are shorter
AT_MOST_MS = 24_000
OTHER = "Con gusto te ayudo con eso, dame un segundo."


class Stage:
    """One moment. `tell(event)` is called when the recogniser tells something."""

    def __init__(self, moment, script):
        self.name, self.script = moment["name"], script
        self.waiting, self.sounds = list(moment["lines"]), []
        self.began_s = time.monotonic()
        self.played, self.requests, self.replies = [], [], {}
        self.onset_ms = None
        self.last_ms = 0.0  # when something happened last
        self.now_playing = None
        self.seen = set()
        self.tell = lambda event: None
        self.coming = []  # what the recogniser is about to tell
        self.late_ms = 0.0  # how late the loop was at worst, from the moment on: a busy machine

    def now_ms(self):
        return (time.monotonic() - self.began_s) * 1000

    # --- the customer

    def greeting_over(self, ended_ms):
        """Where the sound only waited for its next piece, it was not."""
        if not self.now_playing and ended_ms == self.played[-1][1]:
            self.saw("greeting_ended", ended_ms)

    def saw(self, what, at_ms):
        """Something that a line may wait for; only the first time counts."""
        self.last_ms = self.now_ms()
        if what in self.seen or not self.waiting or what not in self.waiting[0]["after"]:
            return
        self.seen.add(what)
        line = self.waiting.pop(0)
        self.say(line, at_ms + line["after"][what])

    def say(self, line, at_ms):
        if not self.waiting:
            self.onset_ms = at_ms
        self.last_ms = at_ms + line["ends_ms"]
        for one in line["sounds"]:
            samples = np.frombuffer(base64.b64decode(one["pcm"]), dtype=np.int16).copy()
            samples[samples == 0] = 1  # so that `sounds` can tell a stop within a word from silence
            self.sounds.append((at_ms + one["at_ms"], samples))
        for event in line["heard"]:
            self.due({**event, "at_ms": at_ms + event["at_ms"], "line_ms": at_ms})

    def due(self, event):
        def now():
            self.coming.remove(one)
            self.tell(event)

        one = event, asyncio.get_running_loop().call_later((event["at_ms"] - self.now_ms()) / 1000, now)
        self.coming.append(one)

    def finalize(self):
        """Somebody does not want to wait for the silence: finals of words that are over come at once."""
        now_ms = self.now_ms()
        soon_ms = now_ms + self.script["figures"]["stt_results"]
        for one in list(self.coming):
            event, handle = one
            if event["final"] and event["line_ms"] + event["ended_ms"] <= now_ms:
                handle.cancel()
                self.coming.remove(one)
                self.due({**event, "at_ms": min(event["at_ms"], soon_ms), "finalized": True})

    def pcm(self, from_ms, ms=20):
        """What the microphone takes up in a stretch of time."""
        count = int(ms * RATE_HZ / 1000)
        out = np.zeros(count, dtype=np.int16)
        for at_ms, samples in self.sounds:
            first = int((from_ms - at_ms) * RATE_HZ / 1000)
            piece = samples[max(0, first) : max(0, first + count)]
            if len(piece):
                start = max(0, -first)
                out[start : start + len(piece)] = piece[: count - start]
        return out

    # --- the model and the voice

    async def reply(self, unanswered):
        """The stand-in model: notes the request, then gives its tokens in time."""
        self.last_ms = self.now_ms()
        self.requests.append([self.now_ms(), unanswered])
        text = self.script["answer"] if "protector solar" in unanswered else OTHER
        self.replies[len(self.requests)] = text
        await asyncio.sleep(self.script["figures"]["llm_first_token"] / 1000)
        for n, word in enumerate(text.split()):
            yield word if n == 0 else f" {word}"
            await asyncio.sleep(1.5 / self.script["figures"]["llm_tokens_per_s"])

    async def speech(self, text):
        """The stand-in voice: the sound of a text, after the time it takes."""
        text = text.strip()
        known = self.script["ms_per_char"]
        whole = next((of for of in known if text in of), self.script["answer"])
        wrote = [n for n, said in self.replies.items() if text in said]
        number = 1 if text in self.script["greeting"] else 1 + (wrote[-1] if wrote else len(self.requests))
        await asyncio.sleep(self.script["figures"]["tts_first_chunk"] / 1000)
        count = int(len(text) * known[whole] * VOICE_HZ / 1000)
        return np.full(count, number, dtype=np.int16).tobytes()

    # --- who plays

    def playing(self, number):
        """What is heard from now on: a sound's number, or 0 for silence."""
        if number == (self.now_playing or 0):
            return
        now_ms = self.now_ms()
        if self.now_playing:
            self.played[-1][1] = now_ms
            if self.now_playing == 1:
                asyncio.get_running_loop().call_later(0.3, self.greeting_over, now_ms)
        self.now_playing = number
        if number:
            self.played.append([now_ms, now_ms, number - 1])
            self.saw("greeting_began" if number == 1 else "answer_began", now_ms)

    async def over(self):
        """Wait until the moment is over."""
        while self.onset_ms is None or self.now_ms() < self.onset_ms + AT_MOST_MS:
            if self.now_ms() > 60_000:
                raise SystemExit(f"{self.name}: the moment never came")
            if self.onset_ms is not None and not self.now_playing and self.now_ms() > self.last_ms + QUIET_MS:
                break
            await asyncio.sleep(0.05)
        self.playing(0)

    def notes(self, history):
        """What there was to see."""
        played = [one for one in self.played if one[1] - one[0] > 1]
        return {
            "onset_ms": self.onset_ms, "played": played, "requests": self.requests, "history": history,
            "late_ms": round(self.late_ms),
        }  # fmt: skip


def sounds(pcm):
    """Whether somebody sounds: what all detectors are told, each to be judged by its own times."""
    return bool(len(pcm)) and np.count_nonzero(pcm) * 2 > len(pcm)


def unanswered(messages):
    """The customer's words at the end of (role, text) pairs, which Clara has not answered yet."""
    found = []
    for role, text in reversed(messages):
        if role == "assistant":
            break
        if role == "user":
            found.insert(0, text)
    return " ".join(found)


class Player:
    """Plays what it is given in real time, and notes it. `ran_dry` is called when all of it has been heard."""

    def __init__(self, stage, *, began=lambda: None, ran_dry=lambda: None):
        self.stage, self.began, self.ran_dry = stage, began, ran_dry
        self.queue, self.heard_s, self.held, self.last_s = [], 0.0, False, None

    def give(self, pcm):
        samples = np.frombuffer(pcm, dtype=np.int16)
        if len(samples):
            self.queue.append([int(samples.max()), len(samples) / VOICE_HZ])

    def clear(self):
        self.queue.clear()
        self.stage.playing(0)
        self.last_s = None

    def hold(self, on):
        self.held, self.last_s = on, None
        if on:
            self.stage.playing(0)

    async def run(self):
        woke_s = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            now_s = time.monotonic()
            if self.stage.onset_ms is not None and self.stage.now_ms() > self.stage.onset_ms - 500:
                self.stage.late_ms = max(self.stage.late_ms, (now_s - woke_s - 0.005) * 1000)
            woke_s = now_s
            if self.held or not self.queue:
                self.last_s = None
                continue
            if self.last_s is None:
                self.last_s = now_s
                self.stage.playing(self.queue[0][0])
                self.began()
                continue
            left, self.last_s = now_s - self.last_s, now_s
            while self.queue and left > 0:
                took = min(left, self.queue[0][1])
                self.stage.playing(self.queue[0][0])
                self.queue[0][1] -= took
                self.heard_s += took
                left -= took
                if self.queue[0][1] <= 1e-9:
                    self.queue.pop(0)
            if not self.queue:
                self.stage.playing(0)
                self.ran_dry()
