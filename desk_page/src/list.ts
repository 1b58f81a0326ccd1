/* Faults in groups, one mistake made 300 times being one, and all of them as a CSV file. */

import type { Fault, Verdict } from "./check";
import type { Rulebook } from "./rulebook";

export type Group = { code: string; severity: string; field: string | null; cause: string; cure: string; places: Fault[] };

/** Errors first, then warnings, each by code. */
export function grouped(faults: Fault[], book: Rulebook): Group[] {
  const groups = new Map<string, Group>();
  for (const fault of faults) {
    const { cause, cure } = wordsOf(fault, book);
    const key = JSON.stringify([fault.severity, fault.code, fault.field ?? "", cause]);
    const group = groups.get(key) ?? { code: fault.code, severity: fault.severity, field: fault.field, cause, cure, places: [] };
    group.places.push(fault);
    groups.set(key, group);
  }
  return [...groups.entries()].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, group]) => group);
}

export function wordsOf({ code, detail }: Fault, book: Rulebook): { cause: string; cure: string } {
  const rule = book.rules.find((one) => one.code === code);
  if (!rule) throw new Error("a fault of no rule");
  return { cause: detail === null ? rule.cause : `${rule.cause} (${detail})`, cure: rule.cure };
}

/** Every fault, as the answer's CSV tells it. A byte order mark comes first: it makes Excel read UTF-8. */
export function listOf({ faults }: Verdict, book: Rulebook): string {
  const lines = faults.map((fault) => {
    const { cause, cure } = wordsOf(fault, book);
    return [fault.line ?? "", fault.childId ?? "", fault.field ?? "", fault.code, fault.severity, cause, cure];
  });
  const head = ["line", "child_id", "field", "code", "severity", "cause", "cure"];
  return `\ufeff${[head, ...lines].map((line) => line.map(written).join(",")).join("\r\n")}\r\n`;
}

/** One value. What a spreadsheet would run as a formula gets an apostrophe: this list is made to be opened in one. */
function written(value: string | number): string {
  const text = typeof value === "string" && /^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
