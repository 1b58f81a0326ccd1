/* The worker: keeps the page answering while a file is checked. It is given DuckDB's program and the rules, then files. */

import { check, type Context, type Verdict } from "./check";
import { tableOf, textOf } from "./columns";
import { Engine } from "./engine";
import type { Rulebook } from "./rulebook";

export type Start = { packed: string; book: Rulebook };
export type Ask = { id: number; data: ArrayBuffer; context: Context };
export type Reply =
  | { ready: true; engine: string; milliseconds: number }
  | { failed: string }
  | { id: number; verdict: Verdict; milliseconds: number }
  | { id: number; failed: string };

type Scope = { onmessage: ((event: MessageEvent<Start | Ask>) => void) | null; postMessage(reply: Reply): void };
const scope = globalThis as unknown as Scope;

let engine: Engine;
let book: Rulebook;

scope.onmessage = async ({ data: message }) => {
  const begun = performance.now();
  if ("packed" in message) {
    try {
      engine = await Engine.start(await WebAssembly.compileStreaming(unpacked(message.packed)));
      book = message.book;
      putRules();
      scope.postMessage({ ready: true, engine: engine.version, milliseconds: performance.now() - begun });
    } catch (fault) {
      scope.postMessage({ failed: String(fault) });
    }
    return;
  }
  const { id, data, context } = message;
  try {
    const verdict = check(engine, book, new Uint8Array(data), context);
    scope.postMessage({ id, verdict, milliseconds: performance.now() - begun });
  } catch (fault) {
    // Its text may quote what it read, so that only its kind is told.
    scope.postMessage({ id, failed: fault instanceof Error ? fault.name : "Error" });
  }
};

function unpacked(packed: string): Response {
  const text = atob(packed);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream, { headers: { "Content-Type": "application/wasm" } });
}

function putRules(): void {
  const column = (name: "code" | "field" | "severity") => textOf(book.rules.map((rule) => rule[name]));
  engine.put("rules", tableOf({ code: column("code"), field: column("field"), severity: column("severity") }));
}
