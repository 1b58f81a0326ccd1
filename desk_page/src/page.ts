/* The page: takes a file, has the worker check it, and shows what was found. */

import type { Context, Verdict } from "./check";
import { listOf } from "./list";
import type { Rulebook } from "./rulebook";
import { show } from "./show";
import { type Refusal, whyNotCsv } from "./suffix";
import type { Ask, Reply, Start } from "./worker";

const BIGGEST = 250_000_000; // bytes: half a million rows three times over; more, a browser may not have the memory for

type Checked = { verdict: Verdict; milliseconds: number };
type TrustedTypes = { createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string } };

const book = JSON.parse(textOf("rulebook")) as Rulebook;
const waiting = new Map<number, { resolve(checked: Checked): void; reject(fault: Error): void }>();
let asked = 0;
let chosen: File | null = null;

const worker = started();
const ready = new Promise<{ engine: string; milliseconds: number }>((resolve, reject) => {
  worker.onmessage = ({ data: reply }: MessageEvent<Reply>) => {
    if ("ready" in reply) resolve(reply);
    else if ("id" in reply) {
      const mine = waiting.get(reply.id);
      waiting.delete(reply.id);
      if ("verdict" in reply) mine?.resolve(reply);
      else mine?.reject(new Error(reply.failed));
    } else reject(new Error(reply.failed));
  };
  worker.onerror = (event) => reject(new Error(event.message));
});
const start: Start = { packed: textOf("engine"), book };
worker.postMessage(start);

/** The check itself, as the page uses it; tests and other pages' scripts have no other way in. */
async function check(data: ArrayBuffer, context: Context): Promise<Checked> {
  await ready;
  return new Promise((resolve, reject) => {
    const ask: Ask = { id: ++asked, data, context };
    waiting.set(ask.id, { resolve, reject });
    worker.postMessage(ask, [data]);
  });
}

function started(): Worker {
  const url = URL.createObjectURL(new Blob([textOf("worker")], { type: "text/javascript" }));
  const trusted = (window as unknown as { trustedTypes?: TrustedTypes }).trustedTypes;
  return new Worker(trusted ? trusted.createPolicy("cpis-desk", { createScriptURL: () => url }).createScriptURL(url) : url);
}

/** The contents of one of the page's data elements, which are then let go: together they are twelve megabytes. */
function textOf(id: string): string {
  const holder = element(id);
  const text = holder.textContent ?? "";
  holder.remove();
  return text;
}

function element<E extends HTMLElement = HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}

/** Today's date in England, whatever zone this computer is set to. */
function today(): string {
  return new Intl.DateTimeFormat("en-CA", { timeZone: "Europe/London", dateStyle: "short" }).format(new Date());
}

function say(...sentences: string[]): void {
  element("status").replaceChildren(
    ...sentences.map((sentence) => Object.assign(document.createElement("p"), { textContent: sentence })),
  );
}

function refuse({ what, todo }: Refusal): void {
  element("result").hidden = true;
  say(what, todo);
}

async function take(file: File): Promise<void> {
  chosen = file;
  element<HTMLButtonElement>("again").disabled = false;
  const mine = asked;
  element("result").hidden = true;
  if (file.size > BIGGEST) {
    return refuse({
      what: `${file.name} is too big for this page (${Math.ceil(file.size / 1e6)} MB).`,
      todo: "No extract is that big: look whether this is the right file. If it is, use the command cpis-la check.",
    });
  }
  say(`Checking ${file.name}...`);
  try {
    const data = await file.arrayBuffer();
    const odd = whyNotCsv(file.name, new Uint8Array(data, 0, Math.min(64, data.byteLength)));
    if (odd) return refuse(odd);
    const context = { today: element<HTMLInputElement>("day").value || today(), laCode: element<HTMLInputElement>("la").value.trim() };
    const { verdict } = await check(data, context);
    if (chosen !== file || asked > mine + 1) return; // another file was chosen meanwhile
    const sentence = show(element("result"), { file: file.name, context, verdict, book, save: () => save(file.name, verdict) });
    say(sentence);
  } catch (fault) {
    const read = fault instanceof DOMException;
    refuse({
      what: read ? `${file.name} could not be read from the disk.` : `${file.name} could not be checked (${(fault as Error).message}).`,
      todo: read ? "Look whether it is open in another program, and choose it again." : "Load this page anew. If it happens again, tell us, without the file.",
    });
  }
}

function save(name: string, verdict: Verdict): void {
  const url = URL.createObjectURL(new Blob([listOf(verdict, book)], { type: "text/csv;charset=utf-8" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: `${name.replace(/\.csv$/i, "")}.faults.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // once the browser has surely begun to write it
}

function listen(): void {
  const drop = element("drop");
  const input = element<HTMLInputElement>("file");
  const over = (event: DragEvent, is: boolean) => {
    event.preventDefault(); // else the browser would leave this page and show the file
    drop.classList.toggle("over", is);
  };
  document.addEventListener("dragover", (event) => over(event, true));
  document.addEventListener("dragleave", (event) => over(event, false));
  document.addEventListener("drop", (event) => {
    over(event, false);
    const files = event.dataTransfer?.files;
    if (files && files.length > 1) refuse({ what: `You dropped ${files.length} files.`, todo: "Drop one file at a time." });
    else if (files?.[0]) void take(files[0]);
  });
  input.addEventListener("click", () => (input.value = "")); // so that the same file, mended, can be chosen again
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) void take(file);
  });
  element("again").addEventListener("click", () => chosen && void take(chosen));
}

element<HTMLInputElement>("day").value = today();
listen();
ready.then(
  ({ engine }) => {
    element("engine-version").textContent = `DuckDB ${engine}`;
    if (!chosen) say("Ready.");
  },
  () =>
    refuse({
      what: "This browser cannot run the check.",
      todo: "Use a current Edge or Chrome. If yours is current, its WebAssembly may be turned off.",
    }),
);

Object.assign(window, { cpisDesk: { ready, check } });
