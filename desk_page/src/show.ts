/* What was found in a file, in words, as elements: nothing from the file is ever taken for markup. */

import type { Context, Fault, Verdict } from "./check";
import { type Group, grouped } from "./list";
import type { Rulebook } from "./rulebook";

export type Found = { file: string; context: Context; verdict: Verdict; book: Rulebook; save(): void };

const PLACES_SHOWN = 100; // of one mistake; the list has them all
const count = new Intl.NumberFormat("en-GB");
const date = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeZone: "UTC" });

/** Fill `into`, and return the sentence that tells the verdict. */
export function show(into: HTMLElement, { file, context, verdict, book, save }: Found): string {
  const groups = grouped(verdict.faults, book);
  const errors = groups.filter(({ severity }) => severity === "ERROR");
  const sentence = sentenceOf(verdict);
  const mood = errors.length ? "bad" : groups.length ? "odd" : "good";
  into.replaceChildren(
    part("h2", { id: "result-heading" }, `Result for ${file}`),
    part("div", { class: `banner ${mood}` }, part("p", { class: "lead" }, sentence), part("p", {}, todo(errors.length, groups.length))),
    figures(verdict),
    part("p", {}, checkedAs(context, verdict)),
    buttons(verdict.faults.length, save),
    ...(groups.length ? [part("h2", {}, "What is wrong, and how to mend it"), ...groups.map(section)] : []),
  );
  into.hidden = false;
  return `${file}: ${sentence} ${todo(errors.length, groups.length)}`;
}

export function sentenceOf({ outcome, rows, loads }: Verdict): string {
  if (outcome === "CPF02" && !rows) return "This file is in order. It holds no rows (CPF02).";
  if (outcome === "CPF02") return `${plural(rows, "The one row", "All # rows")} of this file would load (CPF02).`;
  if (outcome === "CPF03") return `${count.format(loads)} of ${count.format(rows)} rows would load (CPF03).`;
  if (outcome === "CPF06") return "The file would be refused: it is in a version of the format that is not taken (CPF06).";
  if (outcome === "CPF04" && rows) return `None of the ${count.format(rows)} rows would load (CPF04).`;
  return `The whole file would be refused (${outcome}).`;
}

function todo(errors: number, all: number): string {
  if (errors) return "Mend what is listed below in your case system or your export, make the file again and check that.";
  return all ? "Look at the warnings below. They keep nothing out." : "Nothing needs mending.";
}

function figures({ rows, loads, faults }: Verdict): HTMLElement {
  const warned = new Set(faults.filter(({ severity, line }) => severity === "WARNING" && line !== null).map(({ line }) => line)).size;
  const told: [number, string][] = [[rows, "rows read"], [loads, "would load"], [rows - loads, "would not load"], [warned, "lines with a warning"]];
  return part("ul", { class: "figures" }, ...told.map(([number, words]) => part("li", {}, part("strong", {}, count.format(number)), ` ${words}`)));
}

function checkedAs({ today, laCode }: Context, { header }: Verdict): string {
  const day = `Checked as on ${date.format(new Date(`${today}T00:00:00Z`))}`;
  const whose = header ? `, as extract ${count.format(header.sequence)} (${header.kind}, ${header.environment}) of ${header.laCode}` : laCode && `, as a file of ${laCode}`;
  return `${day}${whose}.`;
}

function buttons(faults: number, save: () => void): HTMLElement {
  const print = part("button", { type: "button", class: "plain" }, "Print");
  print.addEventListener("click", () => window.print());
  const list = part("button", { type: "button" }, "Save the list of faults (CSV)");
  list.addEventListener("click", save);
  return part("div", { class: "buttons" }, ...(faults ? [list] : []), print);
}

function section({ code, severity, field, cause, cure, places }: Group): HTMLElement {
  const error = severity === "ERROR";
  return part(
    "section",
    { class: error ? "fault" : "warning" },
    part("h3", {}, cause),
    part("p", {}, part("strong", {}, cure)),
    part("p", {}, part("span", { class: `tag ${error ? "bad" : "odd"}` }, error ? "Error" : "Warning"), ` Code ${code}${field ? `, field ${field}` : ""}.`),
    ...(places[0]?.line == null ? [] : [lines(places)]),
  );
}

function lines(places: Fault[]): HTMLElement {
  const shown = places.slice(0, PLACES_SHOWN).map(({ line, childId }) => `line ${line}${childId ? ` (your id ${childId})` : ""}`);
  const more = places.length - shown.length;
  const rest = more > 0 ? `, and ${count.format(more)} more, all in the list of faults` : "";
  return part("p", {}, `${plural(places.length, "1 line", "# lines")}: ${shown.join(", ")}${rest}.`);
}

function plural(number: number, one: string, many: string): string {
  return number === 1 ? one : many.replace("#", count.format(number));
}

function part(name: string, attributes: Record<string, string>, ...children: (Node | string)[]): HTMLElement {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}
